//! Copies of requests where HTTP/2 is spoken by the client, the upstream or the mirror.

use ringmain_tests::{
    Io,
    http2::{
        Frame,
        frame::{code, setting},
        peer,
    },
    mesh::Mesh,
    on_both,
    origin::Origin,
    yaml,
};

use crate::{
    place,
    speaks::{Client, Deed, Speaks, origin, ruled},
};

on_both!(
    copies_are_whole,
    what_comes_in_pieces_is_copied_whole,
    mirrors_that_fail,
    a_mirror_that_takes_nothing,
    several_mirrors,
    long_bodies_are_not_copied,
);

const MIRROR: &str = "mirrors: [{destination: {host: m.test}, percentage: {value: 100}}]";

/// Everything goes to `upstream` at an origin, and a copy to a mirror.
fn mesh(
    io: Io,
    (upstream, origin): (Speaks, &Origin),
    (mirror, copies): (Speaks, &Origin),
) -> Mesh {
    let builder = ruled(io, upstream, &[origin], MIRROR);
    let service = mirror.service("m", copies.address());
    builder.resource("service-m", &service).start()
}

fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|byte| (byte % 251) as u8).collect()
}

/// The copy is the request: its path, its fields, its body, and its authority without a word that
/// it is a copy, as in Istio.
fn copies_are_whole(io: Io) {
    use Speaks::{Http1, Http2};
    for (client, upstream, mirror) in [
        (Http2, Http1, Http2),
        (Http2, Http2, Http1),
        (Http2, Http2, Http2),
        (Http1, Http1, Http2),
        (Http1, Http2, Http2),
    ] {
        let case = format!("{client:?} {upstream:?} {mirror:?}");
        let (origin, copies) = (
            origin(upstream, |_| Deed::Answer(200)),
            origin(mirror, |_| Deed::Answer(500)),
        );
        let mesh = mesh(io, (upstream, &origin), (mirror, &copies));
        let mut asking = Client::of(&mesh, client);
        for (number, body) in [0, 3, 60 << 10].map(bytes).into_iter().enumerate() {
            let answer = match number {
                0 => asking.get("/g?q"),
                _ => asking.post("/p?q", &body),
            };
            assert_eq!(answer.status(), 200, "{case}");
            copies.wait_for_requests(number + 1);
            let (request, copy) = (&origin.requests()[number], &copies.requests()[number]);
            let path = |line: &str| line.rsplit_once(' ').unwrap().0.to_owned();
            assert_eq!(path(&copy.line), path(&request.line), "{case}");
            assert!(copy.body == body && request.body == body, "{case}");
            let authority = copy.get(match mirror {
                Http1 => "host",
                Http2 => ":authority",
            });
            assert_eq!(authority, Some("example.test"), "{case}");
            for name in ["x-request-id", "x-forwarded-for", "content-length"] {
                assert_eq!(copy.get(name), request.get(name), "{case}: {name}");
            }
        }
        drop(asking);
        mesh.proxy.wait_for_metric("ringmain_mirrors_sent_total", 3);
        assert_eq!(copies.connections(), 1, "{case}");
        for line in mesh.finish() {
            assert_eq!(line.verdict(), "200 -", "{case}");
        }
    }
}

/// The origin has the first piece before the second is sent: nothing waits for a copy.
fn what_comes_in_pieces_is_copied_whole(io: Io) {
    let origin = Origin::start(|conversation| {
        let mut peer = conversation.http2(&[]).unwrap();
        while let Ok((stream, request)) = peer.request_head() {
            conversation.keep(&request);
            peer.until(|peer| peer.stream(stream).is_over).unwrap();
            let text = peer.stream(stream).message.text();
            peer.answer(stream, &text);
        }
    });
    let copies = self::origin(Speaks::Http2, |_| Deed::Answer(200));
    let mesh = mesh(io, (Speaks::Http2, &origin), (Speaks::Http2, &copies));
    let mut client = mesh.http2_client();
    let stream = client.post("/");
    client.send_body(stream, b"first, ", false);
    origin.wait_for_requests(1);
    assert_eq!(copies.connections(), 0);
    client.send_body(stream, b"second", false);
    client.send(&Frame::headers(stream, [("x-behind", "trailer")], true));
    assert_eq!(client.response(stream).text(), "first, second");
    copies.wait_for_requests(1);
    let copy = copies.request();
    assert_eq!(copy.text(), "first, second");
    assert_eq!(copy.trailers.get("x-behind"), Some("trailer"));
    drop(client);
    assert_eq!(mesh.finish_one().verdict(), "200 -");
}

fn mirrors_that_fail(io: Io) {
    for deed in [
        Deed::ResetStream(code::REFUSED_STREAM),
        Deed::ResetStream(code::INTERNAL_ERROR),
        Deed::GoAwayBefore,
        Deed::GoAwayBehind(code::INTERNAL_ERROR),
        Deed::Close,
        Deed::Silence,
    ] {
        let origin = origin(Speaks::Http2, |_| Deed::Answer(200));
        let copies = self::origin(Speaks::Http2, move |_| deed);
        let mesh = mesh(io, (Speaks::Http2, &origin), (Speaks::Http2, &copies));
        let mut asking = Client::of(&mesh, Speaks::Http2);
        for _ in 0..3 {
            assert_eq!(asking.post("/", b"abc").status(), 200, "{deed:?}");
        }
        assert_eq!(origin.requests().len(), 3, "{deed:?}");
        wait_for_a_copy(&copies);
        drop(asking);
        for line in mesh.finish() {
            assert_eq!(line.verdict(), "200 -", "{deed:?}");
            assert_eq!(line.get("upstream_host"), origin.address().to_string());
        }
    }
}

fn wait_for_a_copy(copies: &Origin) {
    ringmain_tests::wait::until("a copy", || match copies.requests().len() {
        0 => Err("none"),
        count => Ok(count),
    });
}

/// It gives no room for bodies, and never answers.
fn a_mirror_that_takes_nothing(io: Io) {
    let origin = origin(Speaks::Http2, |_| Deed::Answer(200));
    let copies = Origin::start(|conversation| {
        let Ok(mut peer) = conversation.http2(&[(setting::INITIAL_WINDOW_SIZE, 0)]) else {
            return;
        };
        while let Ok((_, request)) = peer.request_head() {
            conversation.keep(&request);
        }
    });
    let mesh = mesh(io, (Speaks::Http2, &origin), (Speaks::Http2, &copies));
    let mut asking = Client::of(&mesh, Speaks::Http2);
    for number in 1..=5 {
        assert_eq!(asking.post("/", &bytes(50_000)).status(), 200);
        copies.wait_for_requests(number);
    }
    drop(asking);
    for line in mesh.finish() {
        assert_eq!(line.verdict(), "200 -");
    }
}

/// Each gets its own.
fn several_mirrors(io: Io) {
    let origin = origin(Speaks::Http2, |_| Deed::Answer(200));
    let speaks = [Speaks::Http2, Speaks::Http1];
    let copies = speaks.map(|speaks| self::origin(speaks, |_| Deed::Answer(200)));
    let fields = "mirrors: [{destination: {host: m0.test}}, {destination: {host: m1.test}}]";
    let mesh = ruled(io, Speaks::Http2, &[&origin], fields)
        .resource("m0", &yaml::http2_service("m0", &[copies[0].address()]))
        .resource("m1", &yaml::service("m1", &[copies[1].address()]))
        .start();
    let mut client = mesh.http2_client();
    let mut head = peer::request("POST", "/");
    head.push(("x-mine", "1"));
    let stream = client.begin(head, false);
    client.send_body(stream, b"abc", true);
    assert_eq!(client.response(stream).status(), 200);
    for copies in &copies {
        copies.wait_for_requests(1);
        let copy = copies.request();
        assert_eq!(
            (copy.text().as_str(), copy.get("x-mine")),
            ("abc", Some("1"))
        );
    }
    drop(client);
    mesh.finish();
}

fn long_bodies_are_not_copied(io: Io) {
    let origin = origin(Speaks::Http2, |_| Deed::Answer(200));
    let copies = place::silent();
    let mesh = mesh(io, (Speaks::Http2, &origin), (Speaks::Http2, &copies));
    let mut asking = Client::of(&mesh, Speaks::Http2);
    let body = bytes(300_000);
    assert_eq!(asking.post("/", &body).status(), 200);
    let dropped = "ringmain_mirrors_dropped_total";
    mesh.proxy.wait_for_metric(dropped, 1);
    assert!(origin.request().body == body);
    drop(asking);
    assert_eq!(mesh.finish_one().verdict(), "200 -");
    assert_eq!(copies.connections(), 0);
}
