//! What is written beside the result, and results that are read again.

use std::path::Path;

use ringmain_tests::origin::Origin;
use serde_json::Value;

use crate::{load, measure, nginx, url};

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn files_beside_the_result() {
    let nginx = nginx();
    let hello = url(nginx.address(), "/hello");
    let directory = tempfile::tempdir().unwrap();
    let [page, distribution] = ["load.html", "load.hgrm"].map(|name| directory.path().join(name));
    let arguments = [
        &hello,
        "-n",
        "300",
        "-c",
        "2",
        "--report",
        path(&page),
        "--hdr",
        path(&distribution),
    ];
    measure(0, &arguments);
    let page = std::fs::read_to_string(page).unwrap();
    assert!(
        page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"),
        "{page}"
    );
    assert!(
        page.contains("Latency by percentile</figcaption>\n<svg "),
        "{page}"
    );
    assert!(page.contains(&hello) && !page.contains("<script"), "{page}");
    let distribution = std::fs::read_to_string(distribution).unwrap();
    let last = distribution
        .lines()
        .rfind(|line| !line.starts_with('#'))
        .unwrap();
    let words: Vec<_> = last.split_whitespace().collect();
    assert_eq!(words[1..], ["1.000000000000", "300"], "{distribution}");
}

/// Known before anything is sent.
#[test]
fn a_file_that_cannot_be_written() {
    let origin = Origin::saying("hello");
    let target = url(origin.address(), "/");
    for flag in ["--report", "--hdr"] {
        let (code, out, error) = load(&[&target, "-n", "5", flag, "/nowhere/file"]);
        assert_eq!((code, out.as_str()), (1, ""), "{error}");
        let start = "ringmain: cannot write /nowhere/file: ";
        assert!(error.starts_with(start), "{error}");
    }
    assert_eq!(origin.connections(), 0);
}

#[test]
fn two_results_are_compared() {
    let nginx = nginx();
    let hello = url(nginx.address(), "/hello");
    let directory = tempfile::tempdir().unwrap();
    let [a, b, broken] = ["a.json", "b.json", "c.json"].map(|name| directory.path().join(name));
    let save = |file: &Path, arguments: &[&str]| {
        let (result, _) = measure(0, arguments);
        std::fs::write(file, result.to_string()).unwrap();
    };
    save(&a, &[&hello, "-n", "100", "-c", "1"]);
    save(&b, &[&hello, "--rate", "100", "-d", "500ms", "-c", "2"]);

    let (code, out, error) = load(&["compare", path(&a), path(&b)]);
    assert_eq!((code, error.as_str()), (0, ""), "{out}");
    for part in [
        format!("A  {}, ", a.display()),
        "\nWARNING: the runs differ in pace: A closed loop, B open loop, 100/s constant\n"
            .to_owned(),
        "\nWARNING: the runs differ in connections: A 1 ".to_owned(),
        "\nFIGURE  A ".to_owned(),
        // Neither run has seconds enough.
        "not judged: too few seconds, run for longer".to_owned(),
    ] {
        assert!(out.contains(&part), "{part}: {out}");
    }
    let (code, out, _) = load(&["compare", path(&a), path(&a), "-o", "json"]);
    let result: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &result["warnings"]), (0, &serde_json::json!([])));
    assert_eq!(result["figures"][0]["figure"], "rate");
    assert_eq!(result["figures"][0]["change"], 0.0);

    std::fs::write(&broken, "{}").unwrap();
    for (file, part) in [
        (path(&broken), "not a result of `ringmain load -o json`"),
        ("/nowhere/a.json", "cannot read /nowhere/a.json"),
    ] {
        let (code, out, error) = load(&["compare", path(&a), file]);
        assert_eq!((code, out.as_str()), (1, ""), "{error}");
        assert!(error.contains(part), "{error}");
    }
}
