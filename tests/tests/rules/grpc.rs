//! Failures as clients of gRPC are told: status 200, and what happened in `grpc-status`.

use ringmain_tests::{
    Io,
    http2::{Frame, Peer, peer},
    mesh::Mesh,
    message::Message,
    on_both,
    origin::Origin,
    place as places,
};

use crate::place::{TO_S, ruled, silent};

on_both!(
    no_route,
    no_endpoint,
    refused,
    out_of_time,
    out_of_time_while_it_goes_on,
    aborted,
    not_understood,
);

fn call(mesh: &Mesh, fields: &[(&str, &str)]) -> Message {
    let mut client: Peer = mesh.http2_client();
    let mut head = peer::request("POST", "/service/Method");
    head.push(("content-type", "application/grpc"));
    head.push(("te", "trailers"));
    head.extend_from_slice(fields);
    let stream = client.begin(head, false);
    client.send_body(stream, b"\0\0\0\0\0", true);
    client.response(stream)
}

fn check(mesh: Mesh, fields: &[(&str, &str)], code: &str, flags: &str) {
    let answer = call(&mesh, fields);
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.get("content-type"), Some("application/grpc"));
    assert_eq!(answer.get("grpc-status"), Some(code));
    assert!(answer.body.is_empty());
    mesh.proxy.wait_for_metric("istio_requests_total", 1);
    let metrics = mesh.proxy.metrics();
    let labels = [("request_protocol", "grpc"), ("grpc_response_status", code)];
    assert_eq!(metrics.sum("istio_requests_total", &labels), 1, "{code}");
    let line = mesh.finish_one();
    assert_eq!(line.verdict(), format!("200 {flags}"), "{}", line.text);
}

fn no_route(io: Io) {
    let origin = Origin::saying("");
    let routes = format!("- match: [{{uri: {{exact: /other}}}}]\n{TO_S}");
    let mesh = ruled(io, &[&origin], "").routes(&routes).start();
    check(mesh, &[], "12", "NR");
}

fn no_endpoint(io: Io) {
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: empty}\nspec:\n  \
        selector: {app: empty}\n  ports: [{name: http, port: 80}]\n";
    let mesh = Mesh::builder(io)
        .resource("service", service)
        .routes("- route: [{destination: {host: empty}}]\n")
        .start();
    check(mesh, &[], "14", "UH");
}

fn refused(io: Io) {
    let nobody = places::free(places::address());
    let fields = "retries: {attempts: 0}";
    let mesh = ruled(io, &[&Origin::saying("")], fields)
        .service("s", &[nobody])
        .start();
    check(mesh, &[], "14", "UF");
}

/// What is wrong with a head is told in gRPC's way as well.
fn not_understood(io: Io) {
    let origin = Origin::saying("");
    for field in [("host", "other.test"), ("x-a", "b ")] {
        let mesh = ruled(io, &[&origin], "").start();
        check(mesh, &[field], "13", "DPE");
    }
}

fn out_of_time(io: Io) {
    let origin = silent();
    let mesh = ruled(io, &[&origin], "").start();
    check(mesh, &[("grpc-timeout", "100m")], "4", "UT");
    let mesh = ruled(io, &[&origin], "timeout: 100ms").start();
    check(mesh, &[("grpc-timeout", "1H")], "4", "UT");
}

/// A call that streams has no end before its time is over: that runs from its head on.
fn out_of_time_while_it_goes_on(io: Io) {
    let origin = Origin::start(|conversation| {
        let mut peer = conversation.http2(&[]).unwrap();
        while let Ok((stream, request)) = peer.request_head() {
            if request.line.contains("/answered") {
                peer.send(&Frame::headers(stream, [(":status", "200")], false));
                peer.send(&Frame::data(stream, b"\0\0\0\0\0", false));
            }
        }
    });
    for route in ["", "  timeout: 10s\n"] {
        let routes = format!("- route: [{{destination: {{host: origin.test}}}}]\n{route}");
        let mesh = Mesh::builder(io)
            .all_to_http2("origin", &[origin.address()])
            .routes(&routes)
            .start();
        let mut client = mesh.http2_client();
        let mut begin = |path| {
            let mut head = peer::request("POST", path);
            head.push(("content-type", "application/grpc"));
            head.push(("grpc-timeout", "300m"));
            let stream = client.begin(head, false);
            client.send(&Frame::data(stream, b"\0\0\0\0\0", false));
            stream
        };
        let (silent, answered) = (begin("/"), begin("/answered"));
        let answer = client.ended(silent).message;
        assert_eq!(answer.get("grpc-status"), Some("4"), "{answer:?}");
        let cut = client.ended(answered);
        assert!(cut.has_head && !cut.is_over, "{cut:?}");
        drop(client);
        let lines = mesh.finish();
        for line in &lines {
            assert_eq!(line.verdict(), "200 UT", "{}", line.text);
            assert!(
                (299..10_000).contains(&line.number("duration")),
                "{}",
                line.text
            );
        }
        assert_eq!(lines.len(), 2);
    }
}

fn aborted(io: Io) {
    let origin = Origin::saying("");
    for (with, code) in [
        ("grpcStatus: NOT_FOUND", "5"),
        ("grpcStatus: '14'", "14"),
        ("httpStatus: 403", "7"),
    ] {
        let fields = format!("fault: {{abort: {{{with}, percentage: {{value: 100}}}}}}");
        let mesh = ruled(io, &[&origin], &fields).start();
        check(mesh, &[], code, "FI");
    }
}
