//! Who may read an answer in a browser.

use ringmain_tests::{Io, mesh::Mesh, message::Message, on_both, origin::Origin, place as places};

use crate::place::{answer, ruled};

on_both!(preflights, answers, unmatched_preflights, failures_too);

const POLICY: &str = "corsPolicy:
  allowOrigins: [{exact: 'https://a.test'}, {prefix: 'https://b.'}]
  allowMethods: [GET, PUT]
  allowHeaders: [x-one]
  exposeHeaders: [x-two]
  maxAge: 600s
  allowCredentials: true
";

fn preflight(mesh: &Mesh, origin: &str) -> Message {
    mesh.client().exchange(format!(
        "OPTIONS / HTTP/1.1\r\nhost: a\r\norigin: {origin}\r\n\
         access-control-request-method: PUT\r\n\r\n"
    ))
}

fn get(mesh: &Mesh, origin: &str) -> Message {
    let request = format!("GET / HTTP/1.1\r\nhost: a\r\norigin: {origin}\r\n\r\n");
    mesh.client().exchange(request)
}

fn preflights(io: Io) {
    let origin = Origin::saying("hello");
    let mesh = ruled(io, &[&origin], POLICY).start();
    for allowed in ["https://a.test", "https://b.test"] {
        let answer = preflight(&mesh, allowed);
        assert_eq!(answer.status(), 200);
        for (name, value) in [
            ("access-control-allow-origin", allowed),
            ("access-control-allow-methods", "GET,PUT"),
            ("access-control-allow-headers", "x-one"),
            ("access-control-max-age", "600"),
            ("access-control-allow-credentials", "true"),
        ] {
            assert_eq!(answer.get(name), Some(value), "{name}");
        }
    }
    assert_eq!(origin.connections(), 0);
    mesh.finish();
}

/// The application's own word on this is replaced.
fn answers(io: Io) {
    let own = "access-control-allow-origin: *\r\n";
    let origin = Origin::answering(answer(200, own));
    let mesh = ruled(io, &[&origin], POLICY).start();
    let granted = get(&mesh, "https://a.test");
    let allowed = granted.get("access-control-allow-origin");
    assert_eq!(allowed, Some("https://a.test"));
    assert_eq!(granted.get("access-control-expose-headers"), Some("x-two"));
    assert_eq!(
        granted.get("access-control-allow-credentials"),
        Some("true")
    );
    let other = get(&mesh, "https://evil.test");
    assert_eq!(other.status(), 200);
    assert_eq!(other.get("access-control-allow-credentials"), None);
    assert_eq!(other.get("access-control-expose-headers"), None);
    mesh.finish();
}

fn unmatched_preflights(io: Io) {
    for (mode, reaches_origin) in [("IGNORE", false), ("FORWARD", true)] {
        let origin = Origin::saying("hello");
        let policy = format!("{POLICY}  unmatchedPreflights: {mode}\n");
        let mesh = ruled(io, &[&origin], &policy).start();
        let answer = preflight(&mesh, "https://evil.test");
        assert_eq!(answer.status(), 200, "{mode}");
        assert_eq!(answer.get("access-control-allow-origin"), None, "{mode}");
        assert_eq!(origin.requests().len(), usize::from(reaches_origin));
        mesh.finish();
    }
}

/// Without the fields a browser would tell its script nothing of them.
fn failures_too(io: Io) {
    let nobody = places::free(places::address());
    let mesh = ruled(io, &[&Origin::saying("")], POLICY)
        .service("s", &[nobody])
        .start();
    let answer = get(&mesh, "https://a.test");
    assert_eq!(answer.status(), 503);
    assert_eq!(
        answer.get("access-control-allow-origin"),
        Some("https://a.test")
    );
    mesh.finish();
    let origin = Origin::saying("hello");
    let fields =
        format!("{POLICY}fault: {{abort: {{httpStatus: 418, percentage: {{value: 100}}}}}}\n");
    let mesh = ruled(io, &[&origin], &fields).start();
    let answer = get(&mesh, "https://a.test");
    assert_eq!(answer.status(), 418);
    // Faults come first.
    assert_eq!(answer.get("access-control-allow-origin"), None);
    mesh.finish();
}
