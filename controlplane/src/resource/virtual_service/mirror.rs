//! Reads `mirror` and `mirrors`: where copies of requests go.

use ringmain_config::filter::Share;

use super::{
    super::{
        cursor::{Cursor, Fault, Report},
        metadata::Metadata,
    },
    HttpMirror, fault,
    read::read_destination,
};

/// The mirrors of a rule that get any request at all. Those without a share get every one.
pub(super) fn read(rule: &Cursor<'_>, metadata: &Metadata, report: &mut Report) -> Vec<HttpMirror> {
    let (one, several) = (rule.field("mirror"), rule.field("mirrors"));
    if let (Some(_), Some(several)) = (&one, &several) {
        let fault = Fault::new("`mirror` and `mirrors` exclude each other");
        report.error(several, fault.hint("add the `mirror` to `mirrors`"));
    }
    let share = fault::share(rule, "mirrorPercentage", "mirrorPercent");
    if one.is_none() {
        for name in ["mirrorPercentage", "mirrorPercent"] {
            if let Some(field) = rule.field(name) {
                let fault = Fault::new(format!("`{name}` has no effect without `mirror`"));
                report.warning(
                    &field,
                    fault.hint("each of `mirrors` has a `percentage` of its own"),
                );
            }
        }
    }
    let mut mirrors = Vec::with_capacity(rule.length_of("mirrors").max(one.iter().len()));
    mirrors.extend(one.and_then(|at| mirror(&at, share, None, metadata)));
    for (index, at) in rule.each_of_list("mirrors").enumerate() {
        let share = fault::share(&at, "percentage", "percent");
        let destination = at.field("destination");
        mirrors.extend(destination.and_then(|at| mirror(&at, share, Some(index), metadata)));
    }
    mirrors
}

/// None when it gets no request.
fn mirror(
    destination: &Cursor<'_>,
    share: Option<Share>,
    index: Option<usize>,
    metadata: &Metadata,
) -> Option<HttpMirror> {
    let share = share.unwrap_or(Share::ALL);
    let destination = read_destination(destination, metadata)?;
    (share > Share(0)).then_some(HttpMirror {
        destination,
        share,
        index,
    })
}
