//! `exportTo`: which namespaces see a resource.

use super::{
    cursor::{Cursor, Report},
    format,
    schema::Shape,
};

/// Namespaces, `.` for the resource's own, `*` for all, `~` for none.
pub(super) const SHAPE: Shape = Shape::List(&Shape::Form(target));

/// Says that a limit is not kept yet. Visibility to all is the default and needs no word.
pub(super) fn warn(spec: &Cursor<'_>, report: &mut Report) {
    let Some(export_to) = spec.field("exportTo") else {
        return;
    };
    let targets = export_to.items();
    if !targets.is_empty() && targets.iter().all(|target| target.text() != Some("*")) {
        let message = "`exportTo` is not supported yet: every namespace sees the resource";
        report.warning(&export_to, message);
    }
}

fn target(text: &str) -> Result<(), super::cursor::Fault> {
    match text {
        "." | "*" | "~" => Ok(()),
        name => format::dns_label(name),
    }
}
