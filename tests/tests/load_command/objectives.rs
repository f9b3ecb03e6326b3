//! What decides the exit code.

use crate::{load, measure, nginx, url};

#[test]
fn objectives_decide_the_exit_code() {
    let nginx = nginx();
    let hello = url(nginx.address(), "/hello");
    let flags = [
        "-n",
        "100",
        "-c",
        "2",
        "--max-p99",
        "1h",
        "--max-errors",
        "0",
        "--min-rate",
        "0.001",
    ];
    let mut arguments = vec![hello.as_str()];
    arguments.extend(flags);
    let (result, error) = measure(0, &arguments);
    assert_eq!(error, "");
    let verdicts = result["objectives"].as_array().unwrap();
    assert_eq!(verdicts.len(), 3);
    assert!(
        verdicts.iter().all(|verdict| verdict["held"] == true),
        "{result}"
    );

    // No server answers within a microsecond, nor so many in a second.
    let missed = [
        "-n",
        "100",
        "-c",
        "2",
        "--max-p50",
        "1us",
        "--max-p99",
        "1h",
        "--min-rate",
        "9M",
    ];
    let mut arguments = vec![hello.as_str()];
    arguments.extend(missed);
    let (code, out, error) = load(&arguments);
    assert_eq!(code, 1, "{out}");
    let lines: Vec<_> = error.lines().collect();
    assert_eq!(lines.len(), 2, "{error}");
    assert!(
        lines[0].starts_with("ringmain: missed --max-p50 1us: "),
        "{error}"
    );
    assert!(
        lines[1].starts_with("ringmain: missed --min-rate 9000000/s: "),
        "{error}"
    );
    let row = |flag: &str, verdict: &str| {
        let mut lines = out.lines();
        lines.any(|line| line.starts_with(flag) && line.ends_with(verdict))
    };
    assert!(
        row("--max-p50 1us", "MISSED") && row("--max-p99 3600s", "held"),
        "{out}"
    );
}

#[test]
fn a_status_that_fails_is_no_error_but_counts() {
    let nginx = nginx();
    let missing = url(nginx.address(), "/missing");
    let (result, error) = measure(0, &[&missing, "-n", "20", "-c", "1"]);
    assert_eq!(error, "");
    assert_eq!(result["status"], serde_json::json!({ "404": 20 }));
    assert_eq!(
        (&result["failed"], &result["answered"]),
        (&20.into(), &20.into())
    );
    assert_eq!(result["errors"], serde_json::json!({}));
    let arguments = [&missing, "-n", "20", "-c", "1", "--max-errors", "19"];
    let (_, error) = measure(1, &arguments);
    assert_eq!(error, "ringmain: missed --max-errors 19: 20\n");
    let (_, error) = measure(
        0,
        &[&missing, "-n", "20", "-c", "1", "--max-errors", "100%"],
    );
    assert_eq!(error, "");
}
