use std::time::Duration;

use super::*;

/// Which of the texts a form accepts.
#[track_caller]
fn check(form: fn(&str) -> Result<(), Fault>, good: &[&str], bad: &[&str]) {
    for text in good {
        assert_eq!(form(text), Ok(()), "{text}");
    }
    for text in bad {
        assert!(form(text).is_err(), "{text}");
    }
}

#[test]
fn names() {
    let long = "a".repeat(64);
    check(
        dns_label,
        &["a", "a-1", "9"],
        &["", "-a", "a-", "A", "a.b", "a_b", "ä", &long],
    );
    check(
        dns_name,
        &["a", "a.b-c.d"],
        &["", "a..b", ".a", "a.", "A.b", &"a.".repeat(127)],
    );
    check(
        label_name,
        &["app", "app.kubernetes.io/name", "A_b", "a"],
        &["", "/a", "a/", "a/b/c", "-a", "a b", &long],
    );
    check(
        label_value,
        &["", "v1", "1.10", "A_b-c"],
        &["-v", "v-", "a b", "a/b", &long],
    );
    check(
        gateway_reference,
        &["mesh", "edge", "ns/edge"],
        &["", "/edge", "ns/", "a/b/c", "A"],
    );
}

#[test]
fn hosts() {
    check(
        host,
        &[
            "reviews",
            "a.b.c",
            "A.example.com",
            "a_b.c",
            "10.0.0.1",
            "::1",
            "example.com.",
        ],
        &[
            "", "*", "*.a", "a b", "http://a", "a:80", "a..b", "a/b", "-a",
        ],
    );
    check(
        wildcard_host,
        &["*", "*.a", "a.b"],
        &["*a", "a.*", "*.*.a", "*.", "**", ""],
    );
    check(partial_wildcard_host, &["*.a", "a"], &["*", "*a"]);
    check(
        gateway_host,
        &["*", "./*", "*/a", "ns/*.a"],
        &["~/a", "a/b/c", "/a", "NS/a"],
    );
    check(
        egress_host,
        &["./*", "*/a", "~/*", "ns/*.a"],
        &["a", "*", "x"],
    );
}

#[test]
fn header_fields() {
    check(
        header_name,
        &["x-a", "X_a", "a!"],
        &["", "a b", ":path", "a:", "ä"],
    );
    check(
        header_value,
        &["", "a b", "ä\tb"],
        &["a\nb", "a\rb", "a\0b"],
    );
}

#[test]
fn durations() {
    for (text, expected) in [
        ("0", Some(Duration::ZERO)),
        ("0s", Some(Duration::ZERO)),
        ("10s", Some(Duration::from_secs(10))),
        ("1.5s", Some(Duration::from_millis(1500))),
        (".5s", Some(Duration::from_millis(500))),
        ("1h30m", Some(Duration::from_secs(5400))),
        ("1m1.5s", Some(Duration::from_millis(61_500))),
        ("100ms", Some(Duration::from_millis(100))),
        ("5us", Some(Duration::from_micros(5))),
        ("5µs", Some(Duration::from_micros(5))),
        ("1ns", Some(Duration::from_nanos(1))),
        ("", None),
        ("10", None),
        ("s", None),
        (".s", None),
        ("-1s", None),
        ("1d", None),
        ("1s ", None),
        ("1.2.3s", None),
        ("99999999999999999999s", None),
        ("999999999999999999h999999999999999999h", None),
    ] {
        assert_eq!(duration(text), expected, "{text}");
    }
    let at_least = |text: &str| duration_from(text, Duration::from_millis(1)).is_ok();
    assert_eq!(
        [
            at_least("1ms"),
            at_least("999us"),
            at_least("876000h"),
            at_least("900000h")
        ],
        [true, false, true, false]
    );
}

#[test]
fn regular_expressions() {
    check(
        regex,
        &[
            "",
            ".*",
            "^/a(b|c)+$",
            "(?i)jason",
            "[[:alpha:]]+",
            r"\d{3}",
        ],
        &["*", "(", "a{9999999}", r"(a)\1", "(?=a)", "(?<!a)b"],
    );
}

#[test]
fn messages_stay_short() {
    let long = "a\nb".repeat(1000);
    let shown = shown(&long);
    assert_eq!(shown.chars().count(), 61);
    assert!(!shown.contains('\n'));
}
