//! Tables without lines, as wide as their content.

use comfy_table::{CellAlignment, Table, presets};

/// `header` above `rows`, each line ending without blanks.
pub(super) fn text(header: &[String], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.force_no_tty();
    table.set_header(header);
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
        column.set_cell_alignment(CellAlignment::Left);
    }
    table.trim_fmt() + "\n"
}
