//! Which endpoint a connection goes to.

use std::{
    collections::BTreeMap,
    io::Read,
    net::{IpAddr, SocketAddr, TcpStream},
};

use ringmain_tests::{
    Io, binary,
    mesh::{Builder, Mesh},
    on_both,
    origin::Origin,
    place, wait,
};
use socket2::{Domain, Socket, Type};

use crate::gateway::{connect, finish, rules, service, without_rules};

on_both!(
    shares_are_those_of_the_weights,
    by_the_clients_address,
    by_the_address_connected_to
);

/// Services `a.test`, `b.test` and `c.test`, each of which sends its name.
struct Names {
    builder: Builder,
    gateway: SocketAddr,
    _origins: [Origin; 3],
}

fn names(io: Io, tcp: &str) -> Names {
    let (mut builder, gateway) = without_rules(io);
    let origins = ["a", "b", "c"].map(|name| {
        Origin::start(move |conversation| {
            conversation.send(name);
        })
    });
    for (name, origin) in ["a", "b", "c"].into_iter().zip(&origins) {
        let text = service(name, &[origin.address()], "connectTimeout: 5s");
        builder = builder.resource(name, &text);
    }
    Names {
        builder: builder.resource("rules", &rules(tcp)),
        gateway,
        _origins: origins,
    }
}

fn name_from(mut client: TcpStream) -> String {
    let mut name = String::new();
    client.read_to_string(&mut name).unwrap();
    name
}

/// Connects from an address of the client's choice.
fn connect_from(source: IpAddr, gateway: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(source, 0).into()).unwrap();
    socket.connect(&gateway.into()).unwrap();
    let stream: TcpStream = socket.into();
    stream.set_read_timeout(Some(wait::PATIENCE)).unwrap();
    stream
}

/// What `ringmain explain` says: the services that connections may go to.
fn explained(mesh: &Mesh, words: &[&str]) -> Vec<String> {
    let resources = mesh.directory().join("mesh");
    let arguments = [
        "explain",
        "-o",
        "json",
        "--resources",
        resources.to_str().unwrap(),
    ];
    let gateway = ["--gateway", "bytes"];
    let (_, out, error) = binary::run(arguments.iter().chain(&gateway).chain(words));
    let answer: serde_json::Value =
        serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{error}"));
    let destinations = answer["outcome"]["forward"].as_array();
    let destinations = destinations.into_iter().flatten();
    let names = destinations.map(|to| to["service"]["name"].as_str().unwrap().to_owned());
    names.collect()
}

fn shares_are_those_of_the_weights(io: Io) {
    let Names {
        builder,
        gateway,
        _origins,
    } = names(
        io,
        "[{route: [{destination: {host: a.test}, weight: 75}, {destination: {host: b.test}, weight: \
         25}, {destination: {host: c.test}, weight: 0}]}]",
    );
    let mesh = builder.start();
    assert_eq!(
        explained(&mesh, &[&format!("tcp://{gateway}")]),
        ["a.test", "b.test"]
    );
    let mut drawn = BTreeMap::<_, usize>::new();
    for _ in 0..300 {
        *drawn.entry(name_from(connect(gateway))).or_default() += 1;
    }
    // 75 are expected of `b`, with a standard deviation of 7.5: these are five of them.
    assert_eq!(drawn.keys().collect::<Vec<_>>(), ["a", "b"]);
    assert!((37..=113).contains(&drawn["b"]), "{drawn:?}");
    let lines = finish(mesh, 300);
    for (name, count) in drawn {
        let cluster = format!("outbound|9000||{name}.test");
        let logged = lines
            .iter()
            .filter(|line| line.get("upstream_cluster") == cluster);
        assert_eq!(logged.count(), count, "{name}");
    }
}

fn by_the_clients_address(io: Io) {
    let (own, other) = (place::address(), place::address());
    let Names {
        builder,
        gateway,
        _origins,
    } = names(
        io,
        &format!(
            "[{{match: [{{sourceSubnet: {own}}}], route: [{{destination: {{host: b.test}}}}]}}, \
             {{match: [{{sourceSubnet: {other}/32}}], route: [{{destination: {{host: c.test}}}}]}}]"
        ),
    );
    let mesh = builder.start();
    let neither = place::address();
    let url = format!("tcp://{gateway}");
    for (source, expected) in [(own, "b"), (other, "c"), (neither, "")] {
        assert_eq!(
            name_from(connect_from(source, gateway)),
            expected,
            "{source}"
        );
        // What was foretold is what happened.
        let words = [&url, "--source", &source.to_string()];
        let foretold: String = explained(&mesh, &words).concat();
        assert_eq!(foretold.trim_end_matches(".test"), expected);
    }
    let lines = finish(mesh, 3);
    let verdicts: Vec<_> = lines.iter().map(|line| line.verdict()).collect();
    assert_eq!(verdicts, ["0 -", "0 -", "0 NR"]);
}

/// One listener for every address of the host.
fn by_the_address_connected_to(io: Io) {
    let (own, other) = (place::address(), place::address());
    let Names {
        builder, _origins, ..
    } = names(
        io,
        &format!(
            "[{{match: [{{destinationSubnets: [10.0.0.0/8, {own}]}}], route: [{{destination: {{host: \
             a.test}}}}]}}, {{match: [{{}}], route: [{{destination: {{host: b.test}}}}]}}]"
        ),
    );
    let port = place::free_everywhere();
    let text = crate::gateway::server(SocketAddr::new([0, 0, 0, 0].into(), port));
    let mesh = builder.resource("bytes", &text).start();
    for (address, expected) in [(own, "a"), (other, "b")] {
        let gateway = SocketAddr::new(address, port);
        assert_eq!(name_from(connect(gateway)), expected, "{gateway}");
        let foretold = explained(&mesh, &[&format!("tcp://{gateway}")]);
        assert_eq!(foretold, [format!("{expected}.test")]);
    }
    finish(mesh, 2);
}
