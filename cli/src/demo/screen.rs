//! Standard output: lines that stay, and on a terminal a table below them that is redrawn in place.
//!
//! In a pipe there is no table. An output that is closed is no failure: the demo goes on and its
//! exit code says how it went.

use std::io::{self, IsTerminal, Write};

/// Standard output.
#[derive(Debug)]
pub(super) struct Screen {
    is_terminal: bool,
    /// What is drawn below the lines that stay.
    table: Vec<String>,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self {
            is_terminal: io::stdout().is_terminal(),
            table: Vec::new(),
        }
    }

    /// Writes a line that stays.
    pub(super) fn say(&mut self, line: &str) {
        let table = std::mem::take(&mut self.table);
        let mut text = erase(table.len());
        text.push_str(line);
        text.push('\n');
        for row in &table {
            text.push_str(row);
            text.push('\n');
        }
        write(&text);
        self.table = table;
    }

    /// Replaces the table.
    pub(super) fn draw(&mut self, table: &[String]) {
        if !self.is_terminal {
            return;
        }
        let width = width();
        let mut text = erase(self.table.len());
        // A longer line would take two rows and make the next erasure too short.
        self.table = table
            .iter()
            .map(|line| line.chars().take(width).collect())
            .collect();
        for row in &self.table {
            text.push_str(row);
            text.push('\n');
        }
        write(&text);
    }

    /// Removes the table.
    pub(super) fn clear(&mut self) {
        if !self.table.is_empty() {
            write(&erase(self.table.len()));
            self.table.clear();
        }
    }
}

/// Up to the first of `rows` lines, and away with all that follows.
fn erase(rows: usize) -> String {
    match rows {
        0 => String::new(),
        rows => format!("\x1b[{rows}F\x1b[0J"),
    }
}

fn width() -> usize {
    match rustix::termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col),
        _ => 80,
    }
}

fn write(text: &str) {
    let mut out = io::stdout().lock();
    // See the module: nobody is left to tell.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
