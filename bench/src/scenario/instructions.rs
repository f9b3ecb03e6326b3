//! Instructions outside the kernel per request: a figure that no neighbour disturbs.
//!
//! The proxy runs in valgrind's callgrind, twice, with two numbers of requests; the difference is
//! the requests', since starting and stopping cost the same in both. It uses epoll there, because
//! valgrind does not know io_uring: the engine's own part differs, everything above it is the same.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    fmt::Write,
    path::Path,
};

use anyhow::Result;

use crate::{
    bench::Bench,
    client::Connection,
    peer::{Peer, ringmain},
    process::Program,
    results::{Report, Sample},
    table::Table,
};

const CONNECTIONS: u32 = 64;
/// Rows of the summary.
const FUNCTIONS_SHOWN: usize = 40;

/// Instructions by function.
type Profile = HashMap<String, u64>;

pub(super) fn run(bench: &Bench) -> Result<Report> {
    let (few, many) = (bench.requests.max(1), bench.requests.max(1) * 3);
    let before = profile(bench, few)?;
    let after = profile(bench, many)?;
    let requests = f64::from((many - few) / CONNECTIONS * CONNECTIONS);
    let mut functions: Vec<(&str, f64)> = after
        .iter()
        .map(|(name, count)| {
            let grown = *count as f64 - before.get(name).copied().unwrap_or(0) as f64;
            (&**name, grown / requests)
        })
        .collect();
    functions.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    let total: f64 = functions.iter().map(|(_, count)| count).sum();
    eprintln!("instructions: {total:.0} a request");
    let sample = Sample {
        scenario: "instructions",
        round: 1,
        peer: "ringmain",
        quantity: "user_instructions_per_request",
        value: total,
    };
    Ok(Report {
        samples: vec![sample],
        summary: summary(total, &functions),
    })
}

/// Instructions of a proxy that serves so many requests, rounded to whole turns of all connections.
fn profile(bench: &Bench, requests: u32) -> Result<Profile> {
    let directory = bench.directory()?;
    let directory = directory.path();
    let origin = bench.origin(directory)?;
    let output = directory.join("callgrind.out");
    let mut output_option = OsString::from("--callgrind-out-file=");
    output_option.push(&output);
    let wrapper = [
        OsStr::new("valgrind"),
        OsStr::new("--tool=callgrind"),
        OsStr::new("--quiet"),
        &output_option,
    ];
    let setup = ringmain::Setup {
        io: "epoll",
        wrapper: &wrapper,
        ..bench.ringmain(directory)
    };
    let ringmain = setup.start(Table::LARGE, None, origin.address)?;
    serve(&ringmain.proxy, requests)?;
    ringmain.stop()?;
    read(&output)
}

/// Every connection sends before any answer is awaited, so that the proxy has work for each turn of
/// its loop, as under load.
fn serve(proxy: &Peer, requests: u32) -> Result<()> {
    let mut connections: Vec<_> = (0..CONNECTIONS)
        .map(|_| Connection::open(proxy.address))
        .collect::<Result<_>>()?;
    for turn in 0..requests / CONNECTIONS {
        for (number, connection) in (0..).zip(&mut connections) {
            connection.send(&Table::LARGE.request(turn * CONNECTIONS + number))?;
        }
        for connection in &mut connections {
            let answer = connection.receive()?;
            anyhow::ensure!(answer.status == 200, "answered {}", answer.status);
        }
    }
    Ok(())
}

fn read(output: &Path) -> Result<Profile> {
    let text = Program::on_core(
        0,
        &[],
        Path::new("callgrind_annotate"),
        "callgrind_annotate",
    )
    .args([
        OsStr::new("--threshold=100"),
        OsStr::new("--auto=no"),
        output.as_os_str(),
    ])
    .output()?;
    let profile = parse(&text);
    anyhow::ensure!(
        !profile.is_empty(),
        "callgrind_annotate listed no function: {text}"
    );
    Ok(profile)
}

/// Lines as `1,234 (5.67%)  file.rs:function [object]`.
fn parse(text: &str) -> Profile {
    let mut profile = Profile::new();
    for line in text.lines() {
        if let Some((count, name)) = parse_line(line) {
            *profile.entry(name).or_default() += count;
        }
    }
    profile
}

fn parse_line(line: &str) -> Option<(u64, String)> {
    let (count, rest) = line.trim_start().split_once(' ')?;
    let count = count.replace(',', "").parse().ok()?;
    let (_, name) = rest.split_once(')')?;
    let name = name.trim().split(" [").next()?;
    if name == "PROGRAM TOTALS" {
        return None;
    }
    // The file is part of an inlined function's name for callgrind; its folder says nothing.
    let (file, function) = name.split_once(':').unwrap_or(("", name));
    let file = file.rsplit('/').next().unwrap_or_default();
    Some((count, format!("{file}:{function}")))
}

fn summary(total: f64, functions: &[(&str, f64)]) -> String {
    let mut text = format!(
        "## instructions: the proxy's own work\n\n{total:.0} instructions per request outside the \
         kernel, with epoll. By function and the file it was inlined from:\n\n\
         | instructions/request | function |\n|---|---|\n"
    );
    for (name, count) in functions.iter().take(FUNCTIONS_SHOWN) {
        let _ = writeln!(text, "| {count:.0} | `{name}` |");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{parse, parse_line};

    #[test]
    fn reads_annotations() {
        let check = |line: &str, expected: Option<(u64, &str)>| {
            let expected = expected.map(|(count, name)| (count, name.to_owned()));
            assert_eq!(parse_line(line), expected, "{line}");
        };
        check(
            "1,234 ( 5.67%)  /a/b/worker.rs:ringmain::worker::turn [/x/ringmain]",
            Some((1234, "worker.rs:ringmain::worker::turn")),
        );
        check(
            "12 (0.01%)  ???:memcpy [/lib/libc.so]",
            Some((12, "???:memcpy")),
        );
        check("99,999 (100.0%)  PROGRAM TOTALS", None);
        check("Ir                  file:function", None);
        check("-----------------", None);
        let both = parse("2 (1%) a.rs:f [x]\n3 (1%) /b/a.rs:f [y]\n");
        assert_eq!(both.get("a.rs:f"), Some(&5));
    }
}
