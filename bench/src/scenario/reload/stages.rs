//! Where the time of a change goes: the stages that both planes name, asked for after each change.
//!
//! The control plane says what it did until it had sent the change, and how long the proxy took
//! with it from there; the proxy says what it did in that time.

use std::{ffi::OsStr, path::Path, time::Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Figures, PATIENCE};
use crate::{
    bench::Bench,
    peer::ringmain::Ringmain,
    process::Program,
    report::{Report, markdown},
};

/// A stage as planes name it, and the quantity it has in the samples. In their order.
const CONTROL: [(&str, &str); 9] = [
    ("settle", SETTLE),
    ("read", "read_ms"),
    ("parse", "parse_ms"),
    ("wait", "wait_ms"),
    ("world", "world_ms"),
    ("check", "check_ms"),
    ("target", "target_ms"),
    ("send", "send_ms"),
    ("apply", "apply_ms"),
];
/// As [`CONTROL`]; all of them are parts of `send` and `apply`.
const PROXY: [(&str, &str); 7] = [
    ("receive", "receive_ms"),
    ("decode", "decode_ms"),
    ("merge", "merge_ms"),
    ("names", "names_ms"),
    ("compile", "compile_ms"),
    ("bind", "bind_ms"),
    ("adopt", "adopt_ms"),
];
/// The control plane's wait for further changes, before which it does not look at a file.
const SETTLE: &str = "settle_ms";
/// From the file's replacement to its use by all workers.
pub(super) const APPLIED: &str = "applied_ms";
/// The same without [`SETTLE`].
const KNOWN: &str = "applied_once_known_ms";

/// Adds what the control plane says of the last changes, of which `changes` are all there were. It
/// remembers sixteen.
///
/// # Errors
/// When it does not answer, or not as `ringmain status` does.
pub(super) fn add_control(
    bench: &Bench,
    ringmain: &Ringmain,
    changes: &mut [Figures],
) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        let status = status(&bench.binary, &bench.load_cores(), &ringmain.socket)?;
        // The proxy's word comes a moment after others can see what it says.
        if status["changes"][0]["waiting"] == 0 {
            break status;
        }
        ensure!(
            Instant::now() < deadline,
            "the control plane was not told that the last change is used"
        );
    };
    let named = status["changes"].as_array().into_iter().flatten();
    // The newest is the first.
    for (figures, change) in changes.iter_mut().rev().zip(named) {
        let stages = of_control(change).context("the control plane names no stages")?;
        let settle = stages.iter().find(|(quantity, _)| *quantity == SETTLE);
        let applied = figures.iter().find(|(quantity, _)| *quantity == APPLIED);
        if let (Some((_, settle)), Some((_, applied))) = (settle, applied) {
            figures.push((KNOWN, applied - settle));
        }
        figures.extend(stages);
    }
    Ok(())
}

fn status(binary: &Path, cores: &str, socket: &Path) -> Result<Value> {
    let program = Program::on_cores(cores, &[], binary, "ringmain status");
    let text = program
        .args(["status", "-o", "json"])
        .args([OsStr::new("--socket"), socket.as_os_str()])
        .output()?;
    serde_json::from_str(&text).context("ringmain status printed no JSON")
}

/// A stage that took no time is not named.
fn of_control(change: &Value) -> Option<Figures> {
    let named = change["stages"].as_array()?;
    let took = |name: &str| {
        let stage = named.iter().find(|stage| stage["name"] == name);
        stage.map_or(Some(0.0), |stage| milliseconds(&stage["took"]))
    };
    let stages = CONTROL.iter();
    stages
        .map(|(name, quantity)| Some((*quantity, took(name)?)))
        .collect()
}

/// What the proxy took for the stages of the configuration in force.
pub(super) fn of_proxy(server_info: &Value) -> Option<Figures> {
    let stages = PROXY.iter();
    stages
        .map(|(name, quantity)| Some((*quantity, milliseconds(&server_info["stages"][name])?)))
        .collect()
}

/// Of seconds with an `s` behind them.
fn milliseconds(took: &Value) -> Option<f64> {
    let seconds: f64 = took.as_str()?.strip_suffix('s')?.parse().ok()?;
    Some(1e3 * seconds)
}

/// The medians of all stages, a column for each case.
pub(super) fn note(report: &Report, cases: &[&str]) -> String {
    let name = report.outline.name;
    let head = ["stage", "in"].into_iter().chain(cases.iter().copied());
    let mut rows = vec![head.map(str::to_owned).collect::<Vec<_>>()];
    let control = CONTROL.iter().map(|stage| (stage, "control plane"));
    let proxy = PROXY.iter().map(|stage| (stage, "proxy"));
    for ((stage, quantity), plane) in control.chain(proxy) {
        let cells = cases.iter().map(|case| {
            let median = report.samples.median(name, case, "ringmain", quantity);
            median.map_or("-".to_owned(), |median| format!("{median:.1}"))
        });
        let row = [(*stage).to_owned(), plane.to_owned()];
        rows.push(row.into_iter().chain(cells).collect());
    }
    format!(
        "Milliseconds from the first sign of the change on, medians. The proxy's stages pass \
         during `send` and `apply`.\n\n{}",
        markdown(&rows).trim_end()
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{CONTROL, PROXY, SETTLE, milliseconds, of_control, of_proxy};

    #[test]
    fn reads_what_the_planes_say() {
        let stage = |name: &str, took: &str| json!({ "name": name, "took": took });
        let stages = [stage("settle", "0.0101s"), stage("send", "0.25s")];
        let read = of_control(&json!({ "stages": stages })).unwrap();
        assert_eq!(read.len(), CONTROL.len());
        assert!(read.contains(&(SETTLE, 10.1)) && read.contains(&("send_ms", 250.0)));
        assert!(read.contains(&("parse_ms", 0.0)));
        assert_eq!(of_control(&json!({})), None);
        let stages = [stage("send", "soon")];
        assert_eq!(of_control(&json!({ "stages": stages })), None);

        let stages = PROXY.map(|(name, _)| (name.to_owned(), json!("0.002s")));
        let mut stages: serde_json::Map<_, _> = stages.into_iter().collect();
        let read = of_proxy(&json!({ "stages": stages })).unwrap();
        assert_eq!(read, PROXY.map(|(_, quantity)| (quantity, 2.0)));
        stages.remove("adopt");
        assert_eq!(of_proxy(&json!({ "stages": stages })), None);
    }

    #[test]
    fn times_are_seconds() {
        assert_eq!(milliseconds(&json!("0s")), Some(0.0));
        assert_eq!(milliseconds(&json!("1.5s")), Some(1500.0));
        for nonsense in [json!("1.5"), json!(1.5), json!(null), json!("s")] {
            assert_eq!(milliseconds(&nonsense), None);
        }
    }
}
