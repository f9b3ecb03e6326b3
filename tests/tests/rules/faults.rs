//! Faults that rules ask for: refusals and delays.

use ringmain_tests::{Io, on_both, origin::Origin};

use crate::place::{TO_S, ruled};

on_both!(
    aborts,
    delays,
    who_has_gone_is_not_delayed,
    who_sends_no_more_is_answered,
    aborts_that_have_no_body,
    the_upstream_has_no_part_in_it,
    of_some_requests
);

fn aborts(io: Io) {
    for (share, status, verdict) in [("100", 418, "418 FI"), ("0", 200, "200 -")] {
        let origin = Origin::saying("hello");
        let fields =
            format!("fault: {{abort: {{httpStatus: 418, percentage: {{value: {share}}}}}}}");
        let mesh = ruled(io, &[&origin], &fields).start();
        let mut client = mesh.client();
        assert_eq!(client.get("/").status(), status, "{share}");
        let post = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc";
        assert_eq!(client.exchange(post).status(), status, "{share}");
        drop(client);
        let expected = if status == 200 { 2 } else { 0 };
        assert_eq!(origin.requests().len(), expected);
        for line in mesh.finish() {
            assert_eq!(line.verdict(), verdict);
        }
    }
}

/// RFC 9110 sections 15.3.5 and 15.4.5.
fn aborts_that_have_no_body(io: Io) {
    for status in [204, 304] {
        let origin = Origin::saying("hello");
        let fields =
            format!("fault: {{abort: {{httpStatus: {status}, percentage: {{value: 100}}}}}}");
        let mesh = ruled(io, &[&origin], &fields).start();
        let mut client = mesh.http2_client();
        let stream = client.get("/");
        let ended = client.ended(stream);
        assert!(ended.is_over && ended.message.body.is_empty(), "{ended:?}");
        for message in [ended.message, mesh.client().get("/")] {
            assert_eq!(message.status(), status);
            assert!(message.get("content-type").is_none(), "{message:?}");
        }
        drop(client);
        for line in mesh.finish() {
            assert_eq!(line.verdict(), format!("{status} FI"));
            assert_eq!(line.get("bytes_sent"), "0", "{}", line.text);
        }
    }
}

/// Neither its time nor the route's has begun.
fn the_upstream_has_no_part_in_it(io: Io) {
    let fields = "timeout: 600ms\nfault: {delay: {fixedDelay: 700ms, percentage: {value: 100}}}";
    let origin = Origin::saying("hello");
    let mesh = ruled(io, &[&origin], fields).start();
    let mut client = mesh.client();
    for _ in 0..2 {
        let answer = client.get("/");
        assert_eq!(answer.status(), 200);
        let time = answer.get("x-envoy-upstream-service-time").unwrap();
        assert!(time.parse::<u32>().unwrap() < 700, "{answer:?}");
    }
    drop(client);
    for line in mesh.finish() {
        assert_eq!(line.verdict(), "200 DI");
    }
}

/// Measured as a lower bound; what is delayed may also be refused then.
fn delays(io: Io) {
    let delay = "delay: {fixedDelay: 150ms, percentage: {value: 100}}";
    let abort = "abort: {httpStatus: 500, percentage: {value: 100}}";
    for (fault, verdict) in [
        (delay.to_owned(), "200 DI"),
        (format!("{delay}, {abort}"), "500 DI,FI"),
    ] {
        let origin = Origin::saying("hello");
        let mesh = ruled(io, &[&origin], &format!("fault: {{{fault}}}")).start();
        mesh.client().get("/");
        let line = mesh.finish_one();
        let mut flags: Vec<_> = line.get("response_flags").split(',').collect();
        flags.sort_unstable();
        let seen = format!("{} {}", line.get("response_code"), flags.join(","));
        assert_eq!(seen, verdict);
        assert!(line.number("duration") >= 150, "{}", line.text);
    }
    let origin = Origin::saying("hello");
    let fault = "fault: {delay: {fixedDelay: 3600s, percentage: {value: 0}}}";
    let mesh = ruled(io, &[&origin], fault).start();
    assert_eq!(mesh.client().get("/").status(), 200);
    assert_eq!(mesh.finish_one().verdict(), "200 -");
}

fn who_has_gone_is_not_delayed(io: Io) {
    let origin = Origin::saying("hello");
    let fault = "fault: {delay: {fixedDelay: 3600s, percentage: {value: 100}}}";
    let mesh = ruled(io, &[&origin], fault).start();
    let mut client = mesh.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    mesh.proxy.wait_for_metric("ringmain_requests_active", 1);
    client.reset();
    let line = mesh.finish_one();
    assert_eq!(line.verdict(), "0 DI,DC", "{}", line.text);
    assert_eq!(origin.connections(), 0);
}

/// A client that has finished sending still wants its answer.
fn who_sends_no_more_is_answered(io: Io) {
    let origin = Origin::saying("hello");
    let fault = "fault: {delay: {fixedDelay: 300ms, percentage: {value: 100}}}";
    let mesh = ruled(io, &[&origin], fault).start();
    let mut client = mesh.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    mesh.proxy.wait_for_metric("ringmain_requests_active", 1);
    client.finish();
    assert_eq!(client.response("GET").text(), "hello");
    drop(client);
    assert_eq!(mesh.finish_one().verdict(), "200 DI");
}

fn of_some_requests(io: Io) {
    let origin = Origin::saying("hello");
    let routes = format!(
        "- name: jason\n  match: [{{headers: {{end-user: {{exact: jason}}}}}}]\n  \
         fault: {{abort: {{httpStatus: 500, percentage: {{value: 100}}}}}}\n{TO_S}\
         - name: others\n{TO_S}"
    );
    let mesh = ruled(io, &[&origin], "").routes(&routes).start();
    let mut client = mesh.client();
    for (user, status) in [
        ("jason", 500),
        ("other", 200),
        ("jason", 500),
        ("Jason", 200),
    ] {
        let request = format!("GET / HTTP/1.1\r\nhost: a\r\nend-user: {user}\r\n\r\n");
        assert_eq!(client.exchange(request).status(), status, "{user}");
    }
    drop(client);
    let lines = mesh.finish();
    assert_eq!(lines[0].get("route_name"), "jason");
    assert_eq!(lines[1].get("route_name"), "others");
}
