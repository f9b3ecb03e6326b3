//! The control plane and its proxies: a control plane that dies or goes mad under load, the last
//! good configuration, refusals that are seen, many proxies at once.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixListener,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use ringmain_tests::{
    Io,
    binary::run,
    load::Load,
    mesh::{GATEWAY, Mesh},
    message::{Message, Wire},
    on_both,
    origin::Origin,
    place,
    proxy::Tuning,
    wait, yaml,
};
use serde_json::Value;

on_both!(
    a_control_plane_that_dies_under_load,
    a_control_plane_that_talks_garbage_under_load,
    a_control_plane_that_says_nothing,
    a_restart_without_a_control_plane,
    a_crash_without_a_control_plane,
    a_spoilt_snapshot_is_not_used,
    a_snapshot_of_another_proxy_is_not_used,
    a_taken_port_is_refused_and_seen,
    a_port_that_becomes_free_is_taken,
    many_proxies_get_their_own,
);

fn direct(text: &str) -> String {
    format!("- directResponse: {{status: 200, body: {{string: {text}}}}}\n")
}

/// `ringmain status`: exit code, and the status as JSON.
fn status(mesh: &Mesh) -> (i32, Value) {
    let socket = mesh.socket();
    let (code, out, error) = run(["status", "-o", "json", "--socket", socket.to_str().unwrap()]);
    let value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}\n{error}"));
    (code, value)
}

/// Lets the proxy end; each answer that a client got is in its log.
fn finish(mesh: Mesh, load: Load) {
    let report = load.stop();
    assert_eq!(report.failures, Vec::<String>::new());
    assert_eq!(report.closes, 0, "{report:?}");
    assert_eq!(mesh.finish().len() as u64, report.answered);
}

/// A Gateway with a second server at another port.
fn two_servers(mesh: &Mesh, second: SocketAddr) -> String {
    let (ip, port) = (second.ip().to_string(), second.port());
    yaml::gateway(GATEWAY, mesh.gateway)
        + &format!(
            "  - port: {{number: {port}, name: http-two, protocol: HTTP}}\n    bind: {ip:?}\n    \
             hosts: [\"*\"]\n"
        )
}

fn a_control_plane_that_dies_under_load(io: Io) {
    let origin = Origin::saying("ok");
    let mut mesh = Mesh::builder(io)
        .service("origin", &[origin.address()])
        .routes(&yaml::all_to("origin.test"))
        .tune("workers", "count", "2")
        .start();
    let load = Load::start(mesh.gateway, 8, "/", |answer| answer.status() == 200);
    for round in 0..5 {
        mesh.control.take().unwrap().kill();
        wait::until("the loss to be noticed", || {
            match &mesh.proxy.info()["control_plane"] {
                state if state["connection"]["state"] != "connected" => Ok(()),
                state => Err(state.to_string()),
            }
        });
        load.wait_for(50);
        assert_eq!(mesh.proxy.ask("GET", "/ready").status(), 200);
        // What changes meanwhile is known afterwards.
        let before = mesh.proxy.generation();
        let routes = match round % 2 {
            0 => direct("ok"),
            _ => yaml::all_to("origin.test"),
        };
        mesh.write("routes", &yaml::virtual_service(GATEWAY, &routes));
        mesh.start_control();
        mesh.proxy.wait_for_generation_after(before);
        load.wait_for(50);
    }
    finish(mesh, load);
}

/// What each connection gets from a control plane that has gone mad.
const MADNESS: &[&[u8]] = &[
    b"",
    b"\0",
    b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",
    b"RM",
    b"RM\x01",
    // A frame that is announced and does not come.
    b"RM\x01\x02\0\0\0\x10{",
    // One that is too long.
    b"RM\x01\x02\xff\xff\xff\xff",
    // One that is not JSON, and one that is something else.
    b"RM\x01\x02\0\0\0\x04nope",
    b"RM\x01\x02\0\0\0\x02[]",
    b"RM\x01\x02\0\0\0\x02{}",
    // Another major version.
    b"RM\x63\x02\0\0\0\x02{}",
    // Types nobody knows.
    b"RM\x01\xff\0\0\0\x02{}RM\x01\xfe\0\0\0\0",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
];

fn a_control_plane_that_talks_garbage_under_load(io: Io) {
    let origin = Origin::saying("ok");
    let mut mesh = Mesh::to(io, &origin);
    let load = Load::start(mesh.gateway, 4, "/", |answer| answer.text() == "ok");
    load.wait_for(20);
    let generation = mesh.proxy.generation();
    mesh.control.take().unwrap().kill();
    std::fs::remove_file(mesh.socket()).unwrap();
    let listener = UnixListener::bind(mesh.socket()).unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&over);
    let count = Arc::new(Mutex::new(0));
    let counting = Arc::clone(&count);
    let mad = thread::spawn(move || {
        for bytes in MADNESS.iter().cycle() {
            let Ok((mut stream, _)) = listener.accept() else {
                return;
            };
            if ended.load(Ordering::SeqCst) {
                return;
            }
            // Its hello first, so that the end is not a reset.
            stream
                .set_read_timeout(Some(Duration::from_secs(5)))
                .unwrap();
            drop(stream.read(&mut [0; 65_536]));
            drop(stream.write_all(bytes));
            *counting.lock().unwrap() += 1;
        }
    });
    wait::until("all kinds of garbage", || match *count.lock().unwrap() {
        seen if seen > MADNESS.len() => Ok(()),
        seen => Err(seen.to_string()),
    });
    load.wait_for(50);
    assert_eq!(mesh.proxy.generation(), generation);
    assert_eq!(mesh.proxy.ask("GET", "/ready").status(), 200);
    assert!(!mesh.proxy.info()["control_plane"]["last_error"].is_null());
    over.store(true, Ordering::SeqCst);
    drop(std::os::unix::net::UnixStream::connect(mesh.socket()));
    mad.join().unwrap();
    std::fs::remove_file(mesh.socket()).unwrap();
    // It recovers by itself.
    mesh.start_control();
    mesh.reroute(&direct("ok"));
    load.wait_for(20);
    finish(mesh, load);
}

/// It accepts and never answers: the proxy gives up on it, and tries again.
fn a_control_plane_that_says_nothing(io: Io) {
    let mut mesh = Mesh::builder(io).routes(&direct("ok")).start();
    mesh.control.take().unwrap().kill();
    std::fs::remove_file(mesh.socket()).unwrap();
    let listener = UnixListener::bind(mesh.socket()).unwrap();
    let (silent, _) = listener.accept().unwrap();
    assert_eq!(mesh.client().get("/").text(), "ok");
    let state = mesh.proxy.info()["control_plane"]["connection"]["state"].clone();
    assert_ne!(state, "connected");
    drop((silent, listener));
    std::fs::remove_file(mesh.socket()).unwrap();
    mesh.start_control();
    mesh.reroute(&direct("better"));
    assert_eq!(mesh.client().get("/").text(), "better");
    mesh.finish();
}

fn check_serves_last_good(mesh: &mut Mesh) {
    mesh.proxy.wait_until_ready();
    let answer = wait::until("an answer", || ask(mesh.gateway));
    assert_eq!(answer.text(), "ok");
    let info = mesh.proxy.info();
    assert_eq!(info["source"], "last_good", "{info}");
    assert_ne!(
        info["control_plane"]["connection"]["state"], "connected",
        "{info}"
    );
}

fn ask(address: SocketAddr) -> Result<Message, String> {
    let stream = TcpStream::connect(address).map_err(|error| error.to_string())?;
    let mut wire = Wire::new(stream);
    let sent = wire.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    sent.map_err(|error| error.to_string())?;
    wire.response("GET").map_err(|broken| broken.to_string())
}

fn a_restart_without_a_control_plane(io: Io) {
    let origin = Origin::saying("ok");
    let mut mesh = Mesh::to(io, &origin);
    mesh.control.take().unwrap().kill();
    assert!(mesh.proxy.process.terminate().success());
    mesh.proxy.restart();
    check_serves_last_good(&mut mesh);
    // The control plane comes back, has nothing new to say, and says so.
    let adopted = mesh.proxy.generation();
    mesh.start_control();
    wait::until("the configuration to be confirmed", || {
        let info = mesh.proxy.info();
        match info["source"] == "control_plane" {
            true => Ok(()),
            false => Err(info["source"].to_string()),
        }
    });
    assert_eq!(mesh.proxy.generation(), adopted);
    // It is followed again.
    mesh.reroute(&direct("changed"));
    assert_eq!(mesh.client().get("/").text(), "changed");
    assert_eq!(mesh.proxy.info()["source"], "control_plane");
    mesh.proxy.process.terminate();
}

/// Killed in mid-work, at once started again, several times.
fn a_crash_without_a_control_plane(io: Io) {
    let origin = Origin::saying("ok");
    let mut mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .tune("workers", "count", "2")
        .start();
    // It is written after the proxy is ready, behind its back.
    let snapshot = mesh.proxy.snapshot().to_owned();
    wait::until("the configuration to be on disk", || {
        snapshot.exists().then_some(()).ok_or("there is no file")
    });
    mesh.control.take().unwrap().kill();
    for _ in 0..5 {
        let mut clients: Vec<_> = (0..20).map(|_| mesh.client()).collect();
        for client in &mut clients {
            assert_eq!(client.get("/").text(), "ok");
        }
        mesh.proxy.process.kill();
        mesh.proxy.restart();
        check_serves_last_good(&mut mesh);
    }
}

fn a_spoilt_snapshot_is_not_used(io: Io) {
    let mut mesh = Mesh::builder(io).routes(&direct("ok")).start();
    mesh.control.take().unwrap().kill();
    assert!(mesh.proxy.process.terminate().success());
    let whole = std::fs::read(mesh.proxy.snapshot()).unwrap();
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for spoilt in [&whole[..middle], &flipped, b"", b"{}"] {
        std::fs::write(mesh.proxy.snapshot(), spoilt).unwrap();
        mesh.proxy.restart();
        mesh.proxy
            .process
            .wait_for("starting without the last good configuration");
        mesh.proxy.process.wait_for("admin http");
        assert_eq!(mesh.proxy.ask("GET", "/ready").status(), 503);
        assert!(TcpStream::connect(mesh.gateway).is_err());
        assert!(mesh.proxy.process.terminate().success());
    }
    mesh.proxy.restart();
    mesh.start_control();
    mesh.proxy.wait_until_ready();
    assert_eq!(mesh.client().get("/").text(), "ok");
    mesh.finish();
}

fn a_snapshot_of_another_proxy_is_not_used(io: Io) {
    let mut mesh = Mesh::builder(io).routes(&direct("ok")).start();
    mesh.control.take().unwrap().kill();
    assert!(mesh.proxy.process.terminate().success());
    let mut tuning = mesh.tuning.clone();
    tuning.set("workload", "name", "\"other\"");
    std::fs::write(&mesh.proxy.config, tuning.text()).unwrap();
    mesh.proxy.restart();
    mesh.proxy
        .process
        .wait_for("starting without the last good configuration");
    mesh.proxy.process.wait_for("admin http");
    assert_eq!(mesh.proxy.ask("GET", "/ready").status(), 503);
}

fn a_taken_port_is_refused_and_seen(io: Io) {
    let mesh = Mesh::builder(io).routes(&direct("old")).start();
    let taken = TcpListener::bind((place::address(), 0)).unwrap();
    let address = taken.local_addr().unwrap();
    let generation = mesh.proxy.generation();
    mesh.write("gateway", &two_servers(&mesh, address));
    let text = wait::until("the refusal in `ringmain status`", || match status(&mesh) {
        (1, value) => Ok(value["proxies"].to_string()),
        (code, value) => Err(format!("{code} {value}")),
    });
    for part in ["refused", &address.to_string(), "in use", "gateway.yaml"] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    // Everything is as before, and says so.
    assert_eq!(mesh.proxy.generation(), generation);
    assert_eq!(mesh.client().get("/").text(), "old");
    assert_eq!(
        mesh.proxy.metric("ringmain_configurations_refused_total"),
        1
    );
    assert!(!mesh.proxy.info()["control_plane"]["last_nack"].is_null());
    // A better one is taken.
    mesh.write("gateway", &yaml::gateway(GATEWAY, mesh.gateway));
    mesh.reroute(&direct("new"));
    assert_eq!(mesh.client().get("/").text(), "new");
    assert_eq!(status(&mesh).0, 0);
    mesh.finish();
}

/// Nobody touches a file: the port was another process's for a moment only.
fn a_port_that_becomes_free_is_taken(io: Io) {
    let mesh = Mesh::builder(io).routes(&direct("ok")).start();
    let taken = TcpListener::bind((place::address(), 0)).unwrap();
    let address = taken.local_addr().unwrap();
    mesh.write("gateway", &two_servers(&mesh, address));
    wait::until("the refusal", || match status(&mesh) {
        (1, _) => Ok(()),
        (code, value) => Err(format!("{code} {value}")),
    });
    drop(taken);
    wait::until("the listener", || ask(address));
    wait::until("status to be fine", || match status(&mesh) {
        (0, _) => Ok(()),
        (code, value) => Err(format!("{code} {value}")),
    });
    mesh.finish();
}

fn many_proxies_get_their_own(io: Io) {
    const COUNT: usize = 8;
    let mesh = Mesh::builder(io).routes(&direct("edge")).start();
    let mut proxies = Vec::new();
    for index in 0..COUNT {
        let name = format!("proxy-{index}");
        let gateway = place::free(mesh.address);
        let text =
            yaml::gateway(&name, gateway) + "---\n" + &yaml::virtual_service(&name, &direct(&name));
        mesh.write(&name, &text);
        let admin = place::free(mesh.address);
        let mut tuning = Tuning::new(io, &name, mesh.directory(), admin);
        tuning.set("workload", "labels", format!("{{ app = {name:?} }}"));
        proxies.push((mesh.start_proxy(&tuning, &name, admin), gateway, name));
    }
    for (proxy, gateway, name) in &mut proxies {
        proxy.wait_until_ready();
        let answer = wait::until("an answer", || ask(*gateway));
        assert_eq!(answer.text(), *name);
    }
    // One changes: its proxy has something new, the others nothing.
    let generations: Vec<_> = proxies
        .iter()
        .map(|(proxy, ..)| proxy.generation())
        .collect();
    let name = &proxies[3].2;
    let text = yaml::gateway(name, proxies[3].1)
        + "---\n"
        + &yaml::virtual_service(name, &direct("changed"));
    mesh.write(name, &text);
    proxies[3].0.wait_for_generation_after(generations[3]);
    for (index, (proxy, gateway, name)) in proxies.iter().enumerate() {
        let text = if index == 3 { "changed" } else { name };
        assert_eq!(ask(*gateway).unwrap().text(), text);
        if index != 3 {
            assert_eq!(proxy.generation(), generations[index]);
        }
        let listeners = proxy.ask("GET", "/listeners").text();
        assert_eq!(listeners.lines().count(), 1, "{listeners}");
    }
    let (code, value) = status(&mesh);
    assert_eq!(
        (code, value["proxies"].as_array().unwrap().len()),
        (0, COUNT + 1)
    );
    for (proxy, ..) in &mut proxies {
        assert!(proxy.process.terminate().success());
    }
    wait::until_equal("connected proxies", 1, || {
        status(&mesh).1["proxies"].as_array().unwrap().len()
    });
    mesh.finish();
}
