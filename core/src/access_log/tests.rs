use proptest::prelude::*;

use super::*;
use crate::{failure::Flag, http1::reject::Reject};

/// A request as Istio's documentation shows one, through a sidecar.
fn entry() -> Entry<'static> {
    Entry {
        start_unix_millis: 1_606_342_578_409,
        method: b"GET",
        path: b"/status/418",
        protocol: Some(Protocol::Http11),
        status: 418,
        outcome: Outcome::ViaUpstream,
        further_flags: Flags::NONE,
        termination_details: "",
        transport_failure: b"",
        bytes_received: 0,
        bytes_sent: 135,
        duration: Duration::from_micros(4900),
        upstream_service_time: Some(Duration::from_millis(4)),
        forwarded_for: b"",
        user_agent: b"curl/7.73.0-DEV",
        request_id: b"84961386-6d84-929d-98bd-c5aee93b5c88",
        authority: b"httpbin:8000",
        upstream_host: Some("10.44.1.27:80".parse().unwrap()),
        cluster: b"outbound|8000||httpbin.foo.svc.cluster.local",
        upstream_local: Some("10.44.1.23:37652".parse().unwrap()),
        downstream_local: Some("10.0.45.184:8000".parse().unwrap()),
        downstream_remote: Some("10.44.1.23:46520".parse().unwrap()),
        server_name: b"",
        route: b"default",
    }
}

/// Nothing was read that could be called a request.
fn nothing() -> Entry<'static> {
    Entry {
        start_unix_millis: 0,
        method: b"",
        path: b"",
        protocol: None,
        status: 0,
        outcome: Outcome::Failed(Failure::DownstreamGone),
        further_flags: Flags::NONE,
        termination_details: "",
        transport_failure: b"",
        bytes_received: 0,
        bytes_sent: 0,
        duration: Duration::ZERO,
        upstream_service_time: None,
        forwarded_for: b"",
        user_agent: b"",
        request_id: b"",
        authority: b"",
        upstream_host: None,
        cluster: b"",
        upstream_local: None,
        downstream_local: None,
        downstream_remote: None,
        server_name: b"",
        route: b"",
    }
}

fn line(entry: &Entry<'_>) -> String {
    let mut out = Vec::new();
    entry.write(&mut out);
    String::from_utf8(out).unwrap()
}

fn check(entry: &Entry<'_>, expected: &str) {
    assert_eq!(line(entry), format!("{expected}\n"));
}

#[test]
fn whole_lines() {
    check(
        &entry(),
        "[2020-11-25T22:16:18.409Z] \"GET /status/418 HTTP/1.1\" 418 - via_upstream - \"-\" 0 135 \
         4 4 \"-\" \"curl/7.73.0-DEV\" \"84961386-6d84-929d-98bd-c5aee93b5c88\" \"httpbin:8000\" \
         \"10.44.1.27:80\" outbound|8000||httpbin.foo.svc.cluster.local 10.44.1.23:37652 \
         10.0.45.184:8000 10.44.1.23:46520 - default",
    );
    check(
        &nothing(),
        "[1970-01-01T00:00:00.000Z] \"- - -\" 0 DC downstream_remote_disconnect - \"-\" 0 0 0 - \
         \"-\" \"-\" \"-\" \"-\" \"-\" - - - - - -",
    );
    check(
        &Entry {
            status: 400,
            outcome: Outcome::Failed(Failure::BadRequest(Reject::RequestLine)),
            termination_details: "http1.request_line",
            downstream_local: Some("[::1]:8080".parse().unwrap()),
            downstream_remote: Some("[fe80::1%3]:40000".parse().unwrap()),
            ..nothing()
        },
        "[1970-01-01T00:00:00.000Z] \"- - -\" 400 DPE http1.request_line http1.request_line \"-\" \
         0 0 0 - \"-\" \"-\" \"-\" \"-\" \"-\" - - [::1]:8080 [fe80::1%3]:40000 - -",
    );
    check(
        &Entry {
            status: 503,
            outcome: Outcome::Failed(Failure::ConnectFailed),
            further_flags: Flag::Urx.into(),
            transport_failure: b"delayed connect error: Connection refused",
            protocol: Some(Protocol::Http10),
            upstream_service_time: None,
            upstream_local: None,
            forwarded_for: b"192.0.2.1, 192.0.2.2",
            server_name: b"httpbin.example",
            ..entry()
        },
        "[2020-11-25T22:16:18.409Z] \"GET /status/418 HTTP/1.0\" 503 UF,URX \
         upstream_reset_before_response_started{remote_connection_failure} - \
         \"delayed connect error: Connection refused\" 0 135 4 - \"192.0.2.1, 192.0.2.2\" \
         \"curl/7.73.0-DEV\" \"84961386-6d84-929d-98bd-c5aee93b5c88\" \"httpbin:8000\" \
         \"10.44.1.27:80\" outbound|8000||httpbin.foo.svc.cluster.local - 10.0.45.184:8000 \
         10.44.1.23:46520 httpbin.example default",
    );
}

#[test]
fn hostile_values_stay_within_their_field() {
    let user_agent = |value: &'static [u8], expected: &str| {
        let line = line(&Entry {
            user_agent: value,
            ..nothing()
        });
        assert!(
            line.contains(&format!("0 0 0 - \"-\" \"{expected}\" \"-\"")),
            "{line}"
        );
    };
    user_agent(b"a b", "a b");
    user_agent(b"a\" 200 \"b", "a\\x22 200 \\x22b");
    user_agent(b"a\r\n[2020", "a\\x0d\\x0a[2020");
    user_agent(b"back\\slash\\x22", "back\\\\slash\\\\x22");
    user_agent(b"\0\t\x1b[31m\x7f", "\\x00\\x09\\x1b[31m\\x7f");
    user_agent("é".as_bytes(), "\\xc3\\xa9");
    user_agent(b"-", "-");

    let path = |value: &'static [u8], expected: &str| {
        let line = line(&Entry {
            path: value,
            ..nothing()
        });
        assert!(line.contains(&format!("\"- {expected} -\" 0 DC")), "{line}");
    };
    path(b"/a HTTP/1.1", "/a\\x20HTTP/1.1");
    path(b"/a\"", "/a\\x22");
    path(b"/?q=%22", "/?q=%22");
}

#[test]
fn long_values_are_cut_and_say_so() {
    let agent = |length: usize| {
        let value = vec![b'a'; length];
        line(&Entry {
            user_agent: &value,
            ..nothing()
        })
    };
    let whole = format!("\"{}\"", "a".repeat(FIELD_BYTES_MAX));
    let cut = format!("\"{}...\"", "a".repeat(FIELD_BYTES_MAX));
    assert!(agent(FIELD_BYTES_MAX).contains(&whole));
    assert!(agent(FIELD_BYTES_MAX + 1).contains(&cut));
}

#[test]
fn times() {
    let check = |unix_millis: u64, expected: &str| {
        let mut out = Vec::new();
        write_time(&mut out, unix_millis);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    };
    check(0, "1970-01-01T00:00:00.000Z");
    check(951_782_399_999, "2000-02-28T23:59:59.999Z");
    check(951_782_400_000, "2000-02-29T00:00:00.000Z");
    check(951_868_800_000, "2000-03-01T00:00:00.000Z");
    check(1_709_164_800_001, "2024-02-29T00:00:00.001Z");
    check(4_107_542_400_000, "2100-03-01T00:00:00.000Z");
    check(1_798_761_599_000, "2026-12-31T23:59:59.000Z");
    check(253_402_300_799_999, "9999-12-31T23:59:59.999Z");
    check(u64::MAX, "9999-12-31T23:59:59.999Z");
}

/// Splits a line as a naive reader does: by spaces outside quotes and brackets of the time.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for character in line.chars() {
        match character {
            '"' => quoted = !quoted,
            ' ' if !quoted => fields.push(String::new()),
            _ => fields
                .last_mut()
                .expect("there is always one")
                .push(character),
        }
    }
    assert!(!quoted, "unbalanced quotes: {line}");
    fields
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let hostile = prop::sample::select(b"\"\\\r\n \t\0-[]x\x7f\x80\xff".to_vec());
    prop::collection::vec(prop_oneof![any::<u8>(), hostile], 0..40)
}

proptest! {
    #[test]
    fn one_entry_is_one_line_of_the_same_fields(
        values in prop::collection::vec(bytes(), 9),
        text in ".{0,20}",
        unix_millis: u64,
        nanos: u64,
    ) {
        let out = line(&Entry {
            start_unix_millis: unix_millis,
            method: &values[0],
            path: &values[1],
            termination_details: &text,
            transport_failure: text.as_bytes(),
            duration: Duration::from_nanos(nanos),
            forwarded_for: &values[2],
            user_agent: &values[3],
            request_id: &values[4],
            authority: &values[5],
            cluster: &values[6],
            server_name: &values[7],
            route: &values[8],
            ..nothing()
        });
        prop_assert!(out.ends_with('\n'));
        prop_assert_eq!(out.matches('\n').count(), 1);
        prop_assert!(out.trim_end().bytes().all(|byte| matches!(byte, b' '..=b'~')));
        // 24 fields, of which method, path and protocol share a pair of quotes.
        let fields = fields(out.trim_end());
        prop_assert_eq!(fields.len(), 22);
        prop_assert_eq!(fields[1].matches(' ').count(), 2);
    }
}
