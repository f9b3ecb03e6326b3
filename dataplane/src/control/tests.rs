//! The client against a scripted control plane on a real socket.

mod peer;

use std::{future::Future, sync::Arc, time::Duration};

use ringmain_config::{
    document::{Document, PartKey, PartKind},
    problem::Problem,
    wire::{HEAD_BYTES, Message, Nack, PAYLOAD_BYTES_MAX, Refused, Update},
};
use tokio::sync::mpsc::Receiver;

use self::peer::{Connected, Peer, cluster, commit, frame, hello_of, listener, update, welcome};
use super::{Client, Connection, Limits, Options, Proposal, Status};

fn quick() -> Limits {
    Limits {
        reconnect_first: Duration::from_millis(1),
        reconnect_max: Duration::from_millis(5),
        refused_retry: Duration::from_millis(1),
        ..Limits::default()
    }
}

fn start(peer: &Peer, limits: Limits, held: Document) -> (Client, Receiver<Proposal>) {
    let options = Options {
        socket: peer.socket(),
        node: peer::node(),
        program: "test".into(),
        limits,
    };
    let (client, proposals, hold) = Client::start(options);
    hold.send(Arc::new(held)).unwrap();
    (client, proposals)
}

/// No test may hang: what is waited for comes within a time far above what it takes.
async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(20), future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} did not come"),
    }
}

async fn proposal(proposals: &mut Receiver<Proposal>) -> Proposal {
    let proposal = within("a proposal", proposals.recv()).await;
    proposal.expect("the client runs")
}

async fn status(client: &Client, what: &str, wanted: impl FnMut(&Status) -> bool) -> Status {
    let mut watch = client.watch();
    let status = within(what, watch.wait_for(wanted)).await;
    status.expect("the client runs").clone()
}

fn document(generation: u64, parts: &[ringmain_config::document::Part]) -> Document {
    let mut document = Document {
        generation,
        ..Document::default()
    };
    for part in parts {
        document.upsert(part.clone());
    }
    document
}

/// Brings `parts` to the client as `generation`, applied.
async fn apply(
    connected: &mut Connected,
    proposals: &mut Receiver<Proposal>,
    generation: u64,
    parts: &[ringmain_config::document::Part],
) -> Arc<Document> {
    connected.send(&update(parts)).await;
    connected.send(&commit(generation)).await;
    let proposal = proposal(proposals).await;
    let document = proposal.document.clone();
    proposal.applied();
    assert_eq!(connected.message().await, peer::ack(generation));
    document
}

#[tokio::test]
async fn a_generation_is_proposed_applied_and_acknowledged() {
    let peer = Peer::listen();
    let (client, mut proposals) = start(&peer, quick(), Document::default());
    let mut connected = peer.accept().await;
    assert_eq!(connected.message().await, hello_of(&Document::default()));
    connected.send(&welcome()).await;
    status(&client, "connected", |status| {
        matches!(status.connection, Connection::Connected { .. })
    })
    .await;

    // The updates of one generation may come in several frames.
    connected.send(&update(&[listener("web", 80)])).await;
    connected.send(&update(&[cluster("a"), cluster("b")])).await;
    connected.send(&commit(7)).await;
    let first = proposal(&mut proposals).await;
    let expected = document(7, &[listener("web", 80), cluster("a"), cluster("b")]);
    assert_eq!(*first.document, expected);
    let before = first.document.clone();
    first.applied();
    assert_eq!(connected.message().await, peer::ack(7));

    // What did not change keeps its pointer; what is removed goes.
    let change = Message::Update(Update {
        removals: vec![PartKey {
            kind: PartKind::Cluster,
            name: "b".into(),
        }],
        ..Update::default()
    });
    connected.send(&update(&[listener("web", 81)])).await;
    connected.send(&change).await;
    connected.send(&commit(8)).await;
    let second = proposal(&mut proposals).await;
    let expected = document(8, &[listener("web", 81), cluster("a")]);
    assert_eq!(*second.document, expected);
    assert!(Arc::ptr_eq(
        &second.document.clusters["a"].value,
        &before.clusters["a"].value
    ));
    second.applied();
    assert_eq!(connected.message().await, peer::ack(8));
    let status = client.status();
    assert_eq!((status.generation, status.applied), (8, 2));
    assert_eq!(status.last_error, None);
}

#[tokio::test]
async fn a_refused_generation_leaves_what_is_held() {
    let peer = Peer::listen();
    let (client, mut proposals) = start(&peer, quick(), Document::default());
    let mut connected = peer.greet().await;
    apply(&mut connected, &mut proposals, 1, &[cluster("a")]).await;

    connected.send(&update(&[listener("bad", 1)])).await;
    connected.send(&commit(2)).await;
    let problems = vec![Problem::error("listener \"bad\"", "no route table")];
    proposal(&mut proposals).await.refused(problems.clone());
    let nack = Message::Nack(Nack {
        generation: 2,
        problems: problems.clone(),
    });
    assert_eq!(connected.message().await, nack);
    let refusal = client.status().last_nack.expect("a nack is shown");
    assert_eq!((refusal.generation, refusal.problems), (2, problems));
    assert_eq!(client.status().generation, 1);

    // The next is on top of what is held, and clears the nack.
    let third = apply(&mut connected, &mut proposals, 3, &[cluster("c")]).await;
    assert_eq!(*third, document(3, &[cluster("a"), cluster("c")]));
    assert_eq!(client.status().last_nack, None);

    // A hello names what is applied, never what was refused.
    connected.send(&update(&[listener("bad", 1)])).await;
    connected.send(&commit(4)).await;
    proposal(&mut proposals).await.refused(Vec::new());
    drop(connected);
    let mut again = peer.accept().await;
    assert_eq!(again.message().await, hello_of(&third));
}

#[tokio::test]
async fn a_restarted_control_plane_sends_only_differences() {
    let peer = Peer::listen();
    let last_good = document(5, &[cluster("a"), listener("web", 80)]);
    let (client, mut proposals) = start(&peer, quick(), last_good.clone());
    let mut connected = peer.accept().await;
    assert_eq!(connected.message().await, hello_of(&last_good));
    connected.send(&welcome()).await;
    // Nothing differs: a commit alone.
    connected.send(&commit(9)).await;
    let same = proposal(&mut proposals).await;
    assert_eq!(same.document.versions(), last_good.versions());
    assert_eq!(same.document.generation, 9);
    let held_now = same.document.clone();
    same.applied();
    assert_eq!(connected.message().await, peer::ack(9));
    drop(connected);

    let mut again = peer.accept().await;
    assert_eq!(again.message().await, hello_of(&held_now));
    again.send(&welcome()).await;
    let next = apply(&mut again, &mut proposals, 10, &[cluster("b")]).await;
    assert_eq!(
        *next,
        document(10, &[cluster("a"), cluster("b"), listener("web", 80)])
    );
    assert!(Arc::ptr_eq(
        &next.clusters["a"].value,
        &held_now.clusters["a"].value
    ));
    assert_eq!(client.status().generation, 10);
}

/// After a welcome the peer sends `bytes` and, when `close`, ends its side. The client must apply
/// nothing, give the connection up, and say why; the next one must work.
async fn check_rubbish(what: &str, bytes: Vec<u8>, close: bool, limits: Limits, expected: &str) {
    let peer = Peer::listen();
    let held = document(3, &[cluster("a")]);
    let (client, mut proposals) = start(&peer, limits, held.clone());
    let mut connected = peer.greet().await;
    connected.raw(&bytes).await;
    if close {
        drop(connected);
    } else {
        connected.closed().await;
    }
    let mut again = peer.accept().await;
    assert_eq!(again.message().await, hello_of(&held), "{what}");
    let error = client.status().last_error.expect(what).message;
    assert!(error.contains(expected), "{what}: {error}");
    assert!(proposals.try_recv().is_err(), "{what}: nothing is proposed");
    again.send(&welcome()).await;
    apply(&mut again, &mut proposals, 4, &[cluster("b")]).await;
}

#[tokio::test]
async fn rubbish_applies_nothing() {
    let staged = frame(&update(&[cluster("b")]));
    let head = |major: u8, kind: u8, length: u32| {
        let mut head = vec![b'R', b'M', major, kind];
        head.extend_from_slice(&length.to_be_bytes());
        head
    };
    let too_long = u32::try_from(PAYLOAD_BYTES_MAX + 1).expect("it fits");
    let half = staged[..staged.len() / 2].to_vec();
    let payload = [head(1, 4, 2), b"{]".to_vec()].concat();
    let small = Limits {
        staging_bytes_max: staged.len() * 2 - 1,
        ..quick()
    };
    let twice = [staged.clone(), staged.clone()].concat();
    let refused = frame(&Message::Refused(Refused {
        reason: "uid 7 is\nnot known".into(),
    }));
    let mine = frame(&hello_of(&Document::default()));
    for (what, bytes, close, limits, expected) in [
        (
            "http",
            b"HTTP/1.1 400 Bad\r\n".to_vec(),
            false,
            quick(),
            "does not speak",
        ),
        ("major", head(2, 4, 0), false, quick(), "major version 2"),
        (
            "length",
            head(1, 4, too_long),
            false,
            quick(),
            "longer than the limit",
        ),
        ("payload", payload, false, quick(), "frame type 4"),
        (
            "half a head",
            b"RM".to_vec(),
            true,
            quick(),
            "middle of a frame",
        ),
        ("half a frame", half, true, quick(), "middle of a frame"),
        (
            "killed mid-update",
            staged.clone(),
            true,
            quick(),
            "closed the connection",
        ),
        ("staging", twice, false, small, "may be staged"),
        (
            "second welcome",
            frame(&welcome()),
            false,
            quick(),
            "second welcome",
        ),
        ("a hello", mine, false, quick(), "only proxies send"),
        (
            "refused",
            refused,
            false,
            quick(),
            "refused this proxy: uid 7 is not known",
        ),
    ] {
        check_rubbish(what, bytes, close, limits, expected).await;
    }
}

#[tokio::test]
async fn a_slow_peer_is_given_up() {
    let short = Duration::from_millis(30);
    let staged = frame(&update(&[cluster("b")]));
    let frame_deadline = Limits {
        frame_deadline: short,
        ..quick()
    };
    let commit_deadline = Limits {
        commit_deadline: short,
        ..quick()
    };
    for (what, bytes, limits, expected) in [
        (
            "a head begun",
            staged[..1].to_vec(),
            frame_deadline,
            "finish a frame",
        ),
        (
            "a frame begun",
            staged[..20].to_vec(),
            frame_deadline,
            "finish a frame",
        ),
        (
            "an update begun",
            staged.clone(),
            commit_deadline,
            "commit the generation",
        ),
    ] {
        check_rubbish(what, bytes, false, limits, expected).await;
    }

    let peer = Peer::listen();
    let hello_deadline = Limits {
        hello_deadline: short,
        ..quick()
    };
    let (client, _proposals) = start(&peer, hello_deadline, Document::default());
    let mut silent = peer.accept().await;
    silent.message().await;
    silent.closed().await;
    let status = status(&client, "an error", |status| status.last_error.is_some()).await;
    let error = status.last_error.expect("waited for").message;
    assert!(error.contains("answer the hello"), "{error}");
}

/// Every deadline of the client is far away here: a pause between two bytes is no reason to leave.
#[tokio::test]
async fn frames_may_come_byte_by_byte() {
    let peer = Peer::listen();
    let (_client, mut proposals) = start(&peer, quick(), Document::default());
    let mut connected = peer.greet().await;
    let bytes = [frame(&update(&[cluster("a")])), frame(&commit(1))].concat();
    for byte in bytes {
        connected.raw(&[byte]).await;
        tokio::task::yield_now().await;
    }
    let proposal = proposal(&mut proposals).await;
    assert_eq!(*proposal.document, document(1, &[cluster("a")]));
}

#[tokio::test]
async fn a_newer_minor_version_is_understood() {
    let peer = Peer::listen();
    let (client, mut proposals) = start(&peer, quick(), Document::default());
    let mut connected = peer.accept().await;
    connected.message().await;
    let newer = |kind: u8, payload: serde_json::Value| {
        let payload = payload.to_string().into_bytes();
        let length = u32::try_from(payload.len()).expect("it is short");
        let mut bytes = vec![b'R', b'M', 1, kind];
        bytes.extend_from_slice(&length.to_be_bytes());
        assert_eq!(bytes.len(), HEAD_BYTES);
        [bytes, payload].concat()
    };
    connected.raw(&newer(200, serde_json::json!("hi"))).await;
    let welcome = serde_json::json!({"minor": 9, "program": "9.0", "new": [1]});
    connected.raw(&newer(2, welcome)).await;
    connected.raw(&newer(77, serde_json::json!({}))).await;
    let mut part = serde_json::to_value(cluster("a")).expect("a part is JSON");
    part["cluster"]["brand_new"] = serde_json::json!({"deep": true});
    let update = serde_json::json!({
        "upserts": [{"version": 5, "part": part, "why": "because"}],
        "removals": [],
        "later": null,
    });
    connected.raw(&newer(4, update)).await;
    connected
        .raw(&newer(5, serde_json::json!({"generation": 2, "x": 1})))
        .await;
    let proposal = proposal(&mut proposals).await;
    assert_eq!(proposal.document.clusters["a"].version, 5);
    proposal.applied();
    assert_eq!(connected.message().await, peer::ack(2));
    assert_eq!(client.status().control_plane.as_deref(), Some("9.0"));
}

#[tokio::test]
async fn commits_that_follow_at_once_are_proposed_in_turn() {
    let peer = Peer::listen();
    let (_client, mut proposals) = start(&peer, quick(), Document::default());
    let mut connected = peer.greet().await;
    for (generation, name) in [(1, "a"), (2, "b"), (3, "c")] {
        connected.send(&update(&[cluster(name)])).await;
        connected.send(&commit(generation)).await;
    }
    for (generation, count) in [(1, 1), (2, 2), (3, 3)] {
        let proposal = proposal(&mut proposals).await;
        assert_eq!(proposal.document.generation, generation);
        assert_eq!(proposal.document.clusters.len(), count);
        assert!(proposals.try_recv().is_err(), "one at a time");
        proposal.applied();
        assert_eq!(connected.message().await, peer::ack(generation));
    }
}

/// What came after a commit that is then refused cannot be placed: agree anew on what is held.
#[tokio::test]
async fn changes_on_top_of_a_refused_generation_are_not_applied() {
    for follows in [
        frame(&update(&[cluster("b")])),
        [frame(&update(&[cluster("b")])), frame(&commit(3))].concat(),
    ] {
        let peer = Peer::listen();
        let (client, mut proposals) = start(&peer, quick(), Document::default());
        let mut connected = peer.greet().await;
        let held = apply(&mut connected, &mut proposals, 1, &[cluster("a")]).await;
        connected.send(&update(&[listener("bad", 1)])).await;
        let at_once = [frame(&commit(2)), follows].concat();
        connected.raw(&at_once).await;
        // They arrive in one read, so the client has them all when the proposal is here.
        proposal(&mut proposals).await.refused(Vec::new());
        assert!(matches!(connected.message().await, Message::Nack(_)));
        connected.closed().await;
        let mut again = peer.accept().await;
        assert_eq!(again.message().await, hello_of(&held));
        assert!(proposals.try_recv().is_err());
        let error = client.status().last_error.expect("it was lost").message;
        assert!(error.contains("generation 2 was refused"), "{error}");
    }
}

#[tokio::test]
async fn a_verdict_counts_though_the_connection_is_gone() {
    let peer = Peer::listen();
    let (client, mut proposals) = start(&peer, quick(), Document::default());
    let mut connected = peer.greet().await;
    connected.send(&update(&[cluster("a")])).await;
    connected.send(&commit(1)).await;
    let open = proposal(&mut proposals).await;
    drop(connected);
    let document = open.document.clone();
    open.applied();
    let mut again = peer.accept().await;
    assert_eq!(again.message().await, hello_of(&document));
    assert_eq!(client.status().generation, 1);
}

#[tokio::test]
async fn no_control_plane_is_said_and_tried_again() {
    let peer = Peer::absent();
    let (client, mut proposals) = start(&peer, quick(), Document::default());
    let status = status(&client, "an error", |status| status.last_error.is_some()).await;
    let error = status.last_error.expect("waited for").message;
    let socket = peer.socket().display().to_string();
    assert!(error.contains(&socket), "{error}");
    assert!(error.contains("is `ringmain control` running"), "{error}");

    let peer = peer.appear();
    let mut connected = peer.greet().await;
    apply(&mut connected, &mut proposals, 1, &[cluster("a")]).await;
}

#[tokio::test]
async fn the_client_ends_with_its_supervisor() {
    let peer = Peer::listen();
    let (client, mut proposals) = start(&peer, quick(), Document::default());
    let mut connected = peer.greet().await;
    connected.send(&commit(1)).await;
    drop(proposal(&mut proposals).await);
    connected.closed().await;
    let mut watch = client.watch();
    let ended = within("the end", async { while watch.changed().await.is_ok() {} });
    ended.await;
    assert_eq!(client.status().generation, 0, "it was not applied");
}
