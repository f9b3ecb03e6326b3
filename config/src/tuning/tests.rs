use std::{path::Path, time::Duration};

use proptest::prelude::*;

use super::{profile::PROFILES, *};

/// Reads `text`; the changed tuning must be what `change` makes of the default.
fn check_read(text: &str, change: impl FnOnce(&mut Tuning)) {
    let mut expected = Tuning::default();
    change(&mut expected);
    match Tuning::parse(text, "ringmain.toml") {
        Ok(tuning) => assert_eq!(tuning, expected, "{text}"),
        Err(problems) => panic!("{text}: {problems:#?}"),
    }
}

/// Reads `text`; the problems, one a line, must be `expected`.
fn check_refused(text: &str, expected: &[&str]) {
    let problems = Tuning::parse(text, "t").expect_err(text);
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(lines, expected, "{text}");
}

#[test]
fn reads_values_of_every_type() {
    check_read("", |_| {});
    check_read("[limits]\n[log]\n", |_| {});
    check_read("[workload]\nname = 'reviews-v1'", |tuning| {
        tuning.workload.name = "reviews-v1".to_owned();
    });
    check_read(
        "[workload.labels]\napp = 'reviews'\n\"example.org/team\" = 'a b'",
        |tuning| {
            let labels = [("app", "reviews"), ("example.org/team", "a b")];
            tuning.workload.labels = labels
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into();
        },
    );
    check_read("workload.ports = { http = 9080 }", |tuning| {
        tuning.workload.ports = [("http".to_owned(), 9080)].into();
    });
    check_read("workload.address = 'fd00::7'", |tuning| {
        tuning.workload.address = Some("fd00::7".parse().unwrap());
    });
    check_read("[workload]\ngateways = 'all'", |tuning| {
        tuning.workload.gateways = crate::node::GatewayScope::All;
    });
    check_read(
        "[workers]\ncount = 0x10\npin = false\nio = 'epoll'\nentries = 32_768",
        |tuning| {
            tuning.workers = Workers {
                count: 16,
                pin: false,
                io: Io::Epoll,
                entries: 32_768,
            };
        },
    );
    check_read("control.socket = ''", |tuning| tuning.control.socket = None);
    check_read("[admin]\nlisten = '[::1]:0'", |tuning| {
        tuning.admin.listen = "[::1]:0".parse().unwrap();
    });
    check_read(
        "admin = { listen = '0.0.0.0:15000', allow_remote = true }",
        |tuning| {
            tuning.admin.listen = "0.0.0.0:15000".parse().unwrap();
            tuning.admin.allow_remote = true;
        },
    );
    check_read("[log]\nlevel = 'debug'\naccess = 'off'", |tuning| {
        tuning.log.level = Level::Debug;
        tuning.log.access = AccessLog::Off;
    });
    check_read(
        "[http]\npath_normalization = 'merge_slashes'\nescaped_slashes = 'reject'\n\
         underscores_in_headers = 'drop'\nserver_header = 'append_if_absent'\n\
         server_name = 'edge 1'\nxff_trusted_hops = 2\n\
         forward_client_cert = 'append_forward'",
        |tuning| {
            tuning.http = Http {
                path_normalization: PathNormalization::MergeSlashes,
                escaped_slashes: EscapedSlashes::Reject,
                underscores_in_headers: UnderscoresInHeaders::Drop,
                server_header: ServerHeader::AppendIfAbsent,
                forward_client_cert: ForwardClientCert::AppendForward,
                server_name: "edge 1".to_owned(),
                xff_trusted_hops: 2,
            };
        },
    );
    check_read("log.access = './access.log'", |tuning| {
        tuning.log.access = AccessLog::File("./access.log".into());
    });
}

#[test]
fn reads_durations() {
    for (text, millis) in [
        ("10s", 10_000),
        ("1h", 3_600_000),
        ("250ms", 250),
        ("1m30s", 90_000),
        ("90s", 90_000),
        ("1h2m3s4ms", 3_723_004),
    ] {
        let text = format!("limits.request_head_timeout = '{text}'");
        check_read(&text, |tuning| {
            tuning.limits.request_head_timeout = Duration::from_millis(millis);
        });
    }
    for text in [
        "",
        "10",
        "s",
        "1.5s",
        "-1s",
        "1s ",
        "1s1h",
        "1s1s",
        "1d",
        "1 s",
        "99999999999999999999s",
        "6000000000000000h",
        "µ",
        "1µs",
    ] {
        check_refused(
            &format!("[limits]\nstream_idle_timeout = '{text}'"),
            &[&format!(
                "t:2:23: error: limits.stream_idle_timeout: {text:?} is not a duration; \
                 write whole numbers with h, m, s or ms: `1h`, `1m30s`, `250ms`"
            )],
        );
    }
}

#[test]
fn refuses_with_place_and_remedy() {
    for (text, expected) in [
        (
            "[limits]\nheader = 5",
            "t:2:1: error: limits.header: no such key; did you mean `headers`?",
        ),
        (
            "[limit]",
            "t:1:2: error: limit: no such table; did you mean `[limits]`?",
        ),
        (
            "headers = 5",
            "t:1:1: error: headers: no such key; did you mean `limits.headers`?",
        ),
        (
            "[workers]\nlevel = 'info'",
            "t:2:1: error: workers.level: no such key; did you mean `log.level`?",
        ),
        (
            "[workers]\nfrobnicate = 1",
            "t:2:1: error: workers.frobnicate: no such key; \
             `ringmain profile show default` lists every key",
        ),
        (
            "workers = 3",
            "t:1:1: error: workers: an integer stands where a table is expected; \
             write `[workers]` and its keys below",
        ),
        (
            "[[workers]]",
            "t:1:3: error: workers: an array stands where a table is expected; \
             write `[workers]` and its keys below",
        ),
        (
            "[workers]\ncount = '2'",
            "t:2:9: error: workers.count: a string stands where an integer is expected",
        ),
        (
            "[workers]\npin = 1",
            "t:2:7: error: workers.pin: an integer stands where `true` or `false` is expected",
        ),
        (
            "[workers]\ncount = -1",
            "t:2:9: error: workers.count: -1 is not permitted; permitted: 0 to 1024",
        ),
        (
            "[workers]\ncount = 1025",
            "t:2:9: error: workers.count: 1025 is not permitted; permitted: 0 to 1024",
        ),
        (
            "[workers]\nentries = 1000",
            "t:2:11: error: workers.entries: 1000 is not permitted; \
             permitted: a power of two from 256 to 32768",
        ),
        (
            "[limits]\nbody_bytes = -1",
            "t:2:14: error: limits.body_bytes: -1 is not permitted; \
             permitted: 0 to 9223372036854775807",
        ),
        (
            "[workers]\nentries = 128",
            "t:2:11: error: workers.entries: 128 is not permitted; \
             permitted: a power of two from 256 to 32768",
        ),
        (
            "[workers]\nio = 'iouring'",
            "t:2:6: error: workers.io: \"iouring\" is not `\"auto\"`, `\"uring\"`, \
             `\"uring-coop\"` or `\"epoll\"`; did you mean \"uring\"?",
        ),
        (
            "[workload]\nports = { http = 70000 }",
            "t:2:18: error: workload.ports.http: 70000 is not permitted; permitted: 0 to 65535",
        ),
        (
            "[workload]\nports = { http = 0 }",
            "t:2:9: error: workload.ports: port \"http\" is 0; \
             write the port that the application listens on, 1 to 65535",
        ),
        (
            "[workload]\nlabels = { 'é' = 'a', app = 3 }",
            "t:2:29: error: workload.labels.app: an integer stands where a string is expected",
        ),
        (
            "[workload]\nname = 'a b'",
            "t:2:8: error: workload.name: \"a b\" is not permitted; \
             permitted: at most 253 letters, digits, `-`, `.` and `_`",
        ),
        (
            "[workload]\naddress = '10.0.0.7:80'",
            "t:2:11: error: workload.address: \"10.0.0.7:80\" is not an IP address or `\"\"`; \
             write it like `10.0.0.7` or `fd00::7`, without a port",
        ),
        (
            "[admin]\nlisten = '15000'",
            "t:2:10: error: admin.listen: \"15000\" is not an address with port; \
             write it like `127.0.0.1:15000` or `[::1]:15000`",
        ),
        (
            "[admin]\nlisten = '0.0.0.0:15000'",
            "t:2:10: error: admin.listen: 0.0.0.0:15000 can be reached from other hosts; \
             listen on 127.0.0.1 or [::1], or set `admin.allow_remote = true`",
        ),
        (
            "[limits]\nhead_bytes = 1024",
            "t:2:14: error: limits.head_bytes: target_bytes is more than head_bytes, of which the \
             target is a part; raise `limits.head_bytes` or lower `limits.target_bytes`",
        ),
        (
            "[limits]\nhttp2_connection_window_bytes = 400000",
            "t:2:33: error: limits.http2_connection_window_bytes: http2_connection_window_bytes is \
             less than twice http2_stream_window_bytes, so that one stream that nobody reads can \
             hold up all others; raise `limits.http2_connection_window_bytes` or lower \
             `limits.http2_stream_window_bytes`",
        ),
        (
            "control.reconnect_pause_min = '10s'",
            "t:1:31: error: control.reconnect_pause_min: reconnect_pause_min is longer than \
             reconnect_pause_max; make it the shorter of the two",
        ),
        (
            "control = { socket = '', snapshot = '' }",
            "t:1:22: error: control.socket: neither a control plane nor a snapshot to serve; \
             name one of `control.socket` and `control.snapshot`",
        ),
        (
            "[log]\naccess = 'stdout'",
            "t:2:10: error: log.access: \"stdout\" is not `\"off\"` or a path; \
             write `/dev/stdout`",
        ),
        (
            "[log]\naccess = 'access.log'",
            "t:2:10: error: log.access: \"access.log\" is not `\"off\"` or a path; \
             for a file in the working directory write `./access.log`",
        ),
    ] {
        check_refused(text, &[expected]);
    }
}

#[test]
fn reports_everything_at_once_in_the_order_of_the_lines() {
    check_refused(
        "[log]\nlevel = 'loud'\n[workers]\nentries = 5\ncuont = 1\npin = yes\npin = true\n",
        &[
            "t:2:9: error: log.level: \"loud\" is not `\"off\"`, `\"error\"`, `\"warn\"`, \
             `\"info\"`, `\"debug\"` or `\"trace\"`; write one of them",
            "t:4:11: error: workers.entries: 5 is not permitted; \
             permitted: a power of two from 256 to 32768",
            "t:5:1: error: workers.cuont: no such key; did you mean `count`?",
            "t:6:7: error: toml: string values must be quoted, expected literal string",
            "t:7:1: error: toml: duplicate key",
        ],
    );
}

#[test]
fn every_profile_reads_back_as_itself() {
    let default = Tuning::default();
    for profile in &PROFILES {
        let tuning = profile.tuning();
        let text = profile.to_toml();
        assert_eq!(Tuning::parse(&text, "t").as_ref(), Ok(&tuning), "{text}");
        assert_eq!(
            profile.name == "default",
            tuning == default,
            "{}",
            profile.name
        );
        let overlong = text.lines().find(|line| line.chars().count() > 100);
        assert_eq!(overlong, None, "{}", profile.name);
    }
}

#[test]
fn node_says_who_the_proxy_is() {
    let text = "[workload]\nname = 'reviews'\nnamespace = 'shop'\nservice_account = 'robot'\n\
                labels = { app = 'reviews' }\naddress = '10.0.0.7'\nports = { http = 9080 }\n\
                gateways = 'all'";
    let node = Tuning::parse(text, "t").unwrap().node();
    let json = serde_json::json!({
        "name": "reviews", "namespace": "shop", "service_account": "robot",
        "labels": { "app": "reviews" }, "address": "10.0.0.7", "ports": { "http": 9080 },
        "gateways": "all",
    });
    assert_eq!(serde_json::to_value(node).unwrap(), json);
}

/// The reference in the manual is this program's own. `RINGMAIN_WRITE_DOCS=1` writes it anew.
#[test]
fn manual_has_the_reference() {
    const MARK: &str =
        "<!-- The reference below is generated from config/src/tuning/keys.rs. -->\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let manual = std::fs::read_to_string(&path).unwrap();
    let (guide, written) = manual.split_once(MARK).unwrap();
    let generated = format!("\n{}\n", reference().trim_end());
    if std::env::var_os("RINGMAIN_WRITE_DOCS").is_some() {
        std::fs::write(&path, format!("{guide}{MARK}{generated}")).unwrap();
    } else {
        assert!(
            written == generated,
            "{} is out of date; mend it with\n    RINGMAIN_WRITE_DOCS=1 cargo test -p \
             ringmain-config manual",
            path.display()
        );
    }
}

fn any_text() -> impl Strategy<Value = String> {
    // Pieces of real files, so that the reader gets past the first line often enough.
    let piece = prop_oneof![
        "[a-z_.]{1,12}",
        Just("[limits]\n".to_owned()),
        Just("[workers]\n".to_owned()),
        Just("headers = ".to_owned()),
        Just("request_head_timeout = ".to_owned()),
        Just("labels = { a = 1, ".to_owned()),
        Just("'".to_owned()),
        Just("\n".to_owned()),
        "[0-9]{1,24}(ms|s|m|h)?",
        any::<String>(),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    /// Any text is either read or refused with problems that lie inside it.
    #[test]
    fn reading_is_total(text in any_text()) {
        if let Err(problems) = Tuning::parse(&text, "t") {
            prop_assert!(!problems.is_empty());
            for problem in problems {
                let lines = text.matches('\n').count() + 1;
                prop_assert!((1..=lines).contains(&(problem.line as usize)), "{problem}");
                prop_assert!(problem.column >= 1);
            }
        }
    }

    /// What is written is read back, whatever the values.
    #[test]
    fn text_and_back(
        name in "[a-zA-Z0-9._-]{0,20}",
        labels in proptest::collection::btree_map(any::<String>(), any::<String>(), 0..4),
        ports in proptest::collection::btree_map("[a-z]{1,5}", 1..=u16::MAX, 0..4),
        address in proptest::option::of(any::<std::net::IpAddr>()),
        path in "/[^\0]{1,20}",
        millis in 10_u64..=7 * 24 * 3_600_000,
        entries in 8_u32..=15,
        body_bytes in 0..=i64::MAX as u64,
    ) {
        let mut tuning = Tuning::default();
        tuning.workload.name = name;
        tuning.workload.labels = labels;
        tuning.workload.ports = ports;
        tuning.workload.address = address;
        tuning.control.snapshot = Some(path.clone().into());
        tuning.log.access = AccessLog::File(format!("{path}.log").into());
        tuning.limits.stream_idle_timeout = Duration::from_millis(millis);
        tuning.limits.body_bytes = body_bytes;
        tuning.workers.entries = 1 << entries;
        let text = tuning.to_toml();
        prop_assert_eq!(Tuning::parse(&text, "t"), Ok(tuning), "{}", text);
    }
}

#[test]
fn what_disagrees_is_told_beside_what_is_wrong_otherwise() {
    let text = "[workers]\ncount = -1\n[control]\nreconnect_pause_min = '10s'\n\
                reconnect_pause_max = '1s'\n[limits]\nhead_bytes = 1\ntarget_bytes = 196608\n";
    let problems = Tuning::parse(text, "t").expect_err("refused");
    let paths: Vec<_> = problems
        .iter()
        .map(|problem| (problem.line, problem.path.as_str()))
        .collect();
    // The head's size was refused, so nothing is said of the target that does not fit in it.
    let expected = [
        (2, "workers.count"),
        (4, "control.reconnect_pause_min"),
        (7, "limits.head_bytes"),
    ];
    assert_eq!(paths, expected);
}

/// It goes out as it is.
#[test]
fn the_servers_name_is_a_field_value() {
    for name in ["", " a", "a ", "a\\u000d\\u000ab: c", "\\u00e9"] {
        let text = format!("http.server_name = \"{}\"", name.replace("\\\\", "\\"));
        let problems = Tuning::parse(&text, "t").expect_err(&text);
        assert_eq!(problems.len(), 1, "{text}");
        assert_eq!(problems[0].path, "http.server_name");
    }
}
