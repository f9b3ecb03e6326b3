//! What a request consists of: method, fields, body.

use std::fs;

use ringmain_tests::{message::Message, origin::Origin};

use crate::{load, measure, nginx, url};

/// What `/x` was asked with, thrice, and the result's view of it.
fn asked(flags: &[&str]) -> Message {
    let origin = Origin::echo();
    let target = url(origin.address(), "/x");
    let mut arguments = vec![target.as_str(), "-n", "3", "-c", "1"];
    arguments.extend(flags);
    let (result, error) = measure(0, &arguments);
    assert_eq!(
        (error.as_str(), &result["answered"]),
        ("", &3.into()),
        "{flags:?}"
    );
    let requests = origin.requests();
    assert_eq!(requests.len(), 3, "{flags:?}");
    assert!(
        requests.iter().all(|request| *request == requests[0]),
        "{flags:?}"
    );
    let request = requests[0].clone();
    let method = request.line.split(' ').next().unwrap();
    assert_eq!(result["targets"][0]["method"], method, "{flags:?}");
    let bytes = request.body.len() as u64;
    assert_eq!(result["targets"][0]["body_bytes"], bytes, "{flags:?}");
    assert_eq!(result["bytes_out"], origin.received_bytes(), "{flags:?}");
    request
}

#[test]
fn methods_and_fields() {
    let plain = asked(&[]);
    assert_eq!(plain.line, "GET /x HTTP/1.1");
    assert_eq!(plain.get("content-length"), None);
    for method in ["DELETE", "OPTIONS", "PUT"] {
        assert_eq!(asked(&["-X", method]).line, format!("{method} /x HTTP/1.1"));
    }
    let fields = asked(&[
        "-H",
        "host: a.example",
        "-H",
        "x-a: 1",
        "--header",
        "x-a: 2",
    ]);
    assert_eq!(fields.get("host"), Some("a.example"));
    assert_eq!(fields.fields.all("x-a"), ["1", "2"]);
}

#[test]
fn bodies() {
    let text = asked(&["--body", "a=b&c"]);
    assert_eq!(
        (text.line.as_str(), text.text().as_str()),
        ("POST /x HTTP/1.1", "a=b&c")
    );
    assert_eq!(text.get("content-length"), Some("5"));

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("body");
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    fs::write(&path, &bytes).unwrap();
    let file = asked(&["-X", "PUT", "--body", &format!("@{}", path.display())]);
    assert_eq!(
        (file.line.as_str(), &file.body),
        ("PUT /x HTTP/1.1", &bytes)
    );

    for (size, bytes) in [("7", 7), ("64KiB", 65_536), ("0", 0)] {
        let sized = asked(&["--body-size", size]);
        assert_eq!(
            (sized.line.as_str(), sized.body.len()),
            ("POST /x HTTP/1.1", bytes)
        );
    }
    let (code, out, error) = load(&["http://a/", "--body", "@/nowhere/body"]);
    assert_eq!((code, out.as_str()), (1, ""));
    let start = "ringmain: cannot read the body from /nowhere/body: ";
    assert!(error.starts_with(start), "{error}");
}

/// An answer to HEAD has a length and no body.
#[test]
fn answers_without_a_body() {
    let nginx = nginx();
    let hello = url(nginx.address(), "/hello");
    let (result, _) = measure(0, &[&hello, "-n", "20", "-c", "1", "-X", "HEAD"]);
    assert_eq!(result["status"], serde_json::json!({ "200": 20 }));
    let (unknown, _) = measure(0, &[&url(nginx.address(), "/no"), "-n", "20", "-c", "1"]);
    assert_eq!(unknown["status"], serde_json::json!({ "404": 20 }));
    assert_eq!(unknown["failed"], 20);
}
