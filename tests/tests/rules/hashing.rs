//! Clients that stay at an endpoint.

use std::collections::BTreeSet;

use ringmain_tests::{Io, client::Client, message::Message, on_both, origin::Origin, yaml};

use crate::place::{destination_rule, ruled};

on_both!(
    by_header,
    by_query,
    by_cookie,
    by_source,
    by_source_behind_a_proxy,
    others_may_go,
);

fn origins() -> [Origin; 4] {
    ["a", "b", "c", "d"].map(Origin::saying)
}

fn get(client: &mut Client, target: &str, fields: &str) -> Message {
    client.exchange(format!("GET {target} HTTP/1.1\r\nhost: a\r\n{fields}\r\n"))
}

/// The same key leads to the same endpoint, and all endpoints have their share of keys.
fn check(io: Io, policy: &str, mut ask: impl FnMut(&mut Client, u32) -> Message) {
    for ring in [
        "ringHash: {minimumRingSize: 256}",
        "maglev: {tableSize: 1021}",
    ] {
        let origins = origins();
        let rule = format!("loadBalancer: {{consistentHash: {{{policy}, {ring}}}}}");
        let all = origins.each_ref();
        let mesh = ruled(io, &all, "")
            .resource("rule", &destination_rule(&rule))
            .start();
        let mut client = mesh.client();
        let mut chosen = BTreeSet::new();
        for key in 0..40 {
            let first = ask(&mut client, key).text();
            for _ in 0..3 {
                assert_eq!(ask(&mut client, key).text(), first, "{rule}: {key}");
            }
            chosen.insert(first);
        }
        assert!(chosen.len() > 1, "{rule}: {chosen:?}");
        drop(client);
        mesh.finish();
    }
}

fn by_header(io: Io) {
    check(io, "httpHeaderName: x-user", |client, key| {
        get(client, "/", &format!("x-user: {key}\r\n"))
    });
}

fn by_query(io: Io) {
    check(io, "httpQueryParameterName: user", |client, key| {
        get(client, &format!("/?a=b&user={key}"), "")
    });
}

/// Whoever comes without one is given it once.
fn by_cookie(io: Io) {
    let policy = "httpCookie: {name: user, path: /p, ttl: 60s}";
    check(io, policy, |client, key| {
        let answer = get(client, "/", &format!("cookie: x=y; user={key}\r\n"));
        assert_eq!(answer.get("set-cookie"), None);
        answer
    });
    let origins = origins();
    let rule = format!("loadBalancer: {{consistentHash: {{{policy}}}}}");
    let mesh = ruled(io, &origins.each_ref(), "")
        .resource("rule", &destination_rule(&rule))
        .start();
    let mut client = mesh.client();
    let mut chosen = BTreeSet::new();
    for _ in 0..20 {
        let first = get(&mut client, "/", "");
        let set = first.get("set-cookie").unwrap().to_owned();
        let mut parts = set.split(';').map(str::trim);
        let pair = parts.next().unwrap().to_owned();
        assert!(pair.starts_with("user="), "{set}");
        let attributes: BTreeSet<_> = parts.map(str::to_ascii_lowercase).collect();
        assert!(attributes.contains("path=/p"), "{set}");
        assert!(attributes.contains("max-age=60"), "{set}");
        for _ in 0..3 {
            let again = get(&mut client, "/", &format!("cookie: {pair}\r\n"));
            assert_eq!(again.text(), first.text());
            assert_eq!(again.get("set-cookie"), None);
        }
        chosen.insert(first.text());
    }
    assert!(chosen.len() > 1, "{chosen:?}");
    drop(client);
    mesh.finish();
}

fn by_source(io: Io) {
    let origins = origins();
    let rule = "loadBalancer: {consistentHash: {useSourceIp: true}}";
    let mesh = ruled(io, &origins.each_ref(), "")
        .resource("rule", &destination_rule(rule))
        .start();
    let first = mesh.client().get("/").text();
    for _ in 0..20 {
        assert_eq!(mesh.client().get("/").text(), first);
    }
    mesh.finish();
}

/// It is the client's address that decides, where a trusted proxy says which that is.
fn by_source_behind_a_proxy(io: Io) {
    let origins = origins();
    let rule = "loadBalancer: {consistentHash: {useSourceIp: true}}";
    let mesh = ruled(io, &origins.each_ref(), "")
        .resource("rule", &destination_rule(rule))
        .tune("http", "xff_trusted_hops", "1")
        .start();
    let mut client = mesh.client();
    let mut chosen = BTreeSet::new();
    for number in 0..40 {
        let mut ask = |before: &str| {
            let field = format!("x-forwarded-for: {before}10.1.2.{number}\r\n");
            get(&mut client, "/", &field).text()
        };
        let first = ask("");
        assert_eq!(ask("9.9.9.9, "), first, "what the client wrote itself");
        chosen.insert(first);
    }
    assert!(chosen.len() > 1, "{chosen:?}");
    drop(client);
    mesh.finish();
}

/// When an endpoint goes, the clients of the others stay where they are.
fn others_may_go(io: Io) {
    for ring in [
        "ringHash: {minimumRingSize: 1024}",
        "maglev: {tableSize: 65537}",
    ] {
        let origins = origins();
        let rule = format!("loadBalancer: {{consistentHash: {{httpHeaderName: x-user, {ring}}}}}");
        let mesh = ruled(io, &origins.each_ref(), "")
            .resource("rule", &destination_rule(&rule))
            .start();
        let mut client = mesh.client();
        let all = |mesh_client: &mut Client| {
            let users = 0..100;
            let ask = |user| get(mesh_client, "/", &format!("x-user: {user}\r\n")).text();
            users.map(ask).collect::<Vec<_>>()
        };
        let before = all(&mut client);
        let left = [&origins[0], &origins[1], &origins[3]].map(Origin::address);
        let generation = mesh.proxy.generation();
        mesh.write("service-s", &yaml::service("s", &left));
        mesh.proxy.wait_for_generation_after(generation);
        let after = all(&mut client);
        assert!(after.iter().all(|name| name != "c"));
        let moved = before.iter().zip(&after);
        let moved = moved.filter(|(before, after)| *before != "c" && before != after);
        // A ring of a least size gives each of the others more places, and a table of Maglev moves
        // a few more than it has to: without either, two of three would have moved.
        let count = moved.count();
        assert!(count <= 33, "{ring}: {count} have moved");
        drop(client);
        mesh.finish();
    }
}
