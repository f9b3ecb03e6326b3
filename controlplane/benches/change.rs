//! What each stage of a change costs, over ways to lay out the same ten thousand routes, and for
//! one endpoint among a hundred thousand.
//! `cargo bench -p ringmain-controlplane [-- PART-OF-A-NAME]`
//!
//! Milliseconds of processor time of all threads, the least and the median of some rounds: what
//! others do on the machine is not in it. Reading YAML is spread over up to four threads, so on a
//! machine at rest it passes in less time than it takes. Files, sockets and worker threads are not
//! in it either; `ringmain status` of a running control plane has all stages.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot be set up has nothing to say"
)]

use std::{collections::BTreeMap, env, fmt::Write, hint::black_box, sync::Arc, time::Duration};

use ringmain_config::{
    document::Document,
    node::{GatewayScope, Node},
    wire::{Message, Updates},
};
use ringmain_controlplane::{
    assemble::assemble,
    compile::check_world,
    resource::{Resource, parse},
    world::World,
};
use ringmain_core::snapshot::{Resolved, Snapshot};
use rustix::time::{ClockId, clock_gettime};

const HOSTS: u32 = 100;
const ROUTES: u32 = 100;
const ROUNDS: usize = 11;
const SERVICES: u32 = 100;
const ENDPOINTS: u32 = 1000;

/// A name, and the files of a generation.
type Layout = (&'static str, fn(u32) -> Vec<String>);

const LAYOUTS: &[Layout] = &[
    ("10k routes, a document for each host", |generation| {
        let documents = (0..HOSTS).map(|host| {
            let name = format!("host-{host}");
            virtual_service(
                &name,
                &format!("host-{host}.example"),
                0..ROUTES,
                generation,
            )
        });
        vec![documents.collect()]
    }),
    ("10k routes, a List", |generation| {
        let mut list = String::from("apiVersion: v1\nkind: List\nitems:\n");
        for host in 0..HOSTS {
            let (name, host) = (format!("host-{host}"), format!("host-{host}.example"));
            let item = virtual_service(&name, &host, 0..ROUTES, generation);
            for (index, line) in item.lines().skip(1).enumerate() {
                let indent = if index == 0 { "- " } else { "  " };
                let _ = writeln!(list, "{indent}{line}");
            }
        }
        vec![list]
    }),
    ("10k routes, a document for each", |generation| {
        vec![documents(generation).collect()]
    }),
    ("10k routes, ten documents to a file", |generation| {
        let documents: Vec<String> = documents(generation).collect();
        documents.chunks(10).map(|chunk| chunk.concat()).collect()
    }),
    ("1k routes, a document for each host", |generation| {
        let documents = (0..HOSTS).map(|host| {
            let name = format!("host-{host}");
            virtual_service(&name, &format!("host-{host}.example"), 0..10, generation)
        });
        vec![documents.collect()]
    }),
];

fn documents(generation: u32) -> impl Iterator<Item = String> {
    (0..HOSTS * ROUTES).map(move |number| {
        let (host, route) = (number / ROUTES, number % ROUTES);
        let (name, host) = (
            format!("host-{host}-{route}"),
            format!("host-{host}.example"),
        );
        virtual_service(&name, &host, route..route + 1, generation)
    })
}

fn virtual_service(
    name: &str,
    host: &str,
    routes: std::ops::Range<u32>,
    generation: u32,
) -> String {
    let mut yaml = format!(
        "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: {name}\n\
         spec:\n  hosts: [{host}]\n  gateways: [gateway]\n  http:\n"
    );
    for route in routes {
        let _ = write!(
            yaml,
            "  - name: route-{route}\n    match:\n    - uri: {{ prefix: /route-{route}/ }}\n    \
             route:\n    - destination: {{ host: origin.internal }}\n    headers:\n      \
             response:\n        set: {{ x-generation: \"{generation}\" }}\n"
        );
    }
    yaml
}

const EDGE: &str = "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gateway}
spec:
  selector: {app: gateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: origin}
spec:
  hosts: [origin.internal]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 127.0.0.1}]
";

/// Times of each stage, in the order of the first round.
#[derive(Default)]
struct Stages(Vec<(&'static str, Vec<Duration>)>);

impl Stages {
    fn time<T>(&mut self, stage: &'static str, work: impl FnOnce() -> T) -> T {
        let began = processor_time();
        let made = black_box(work());
        let took = processor_time() - began;
        match self.0.iter_mut().find(|(name, _)| *name == stage) {
            Some((_, times)) => times.push(took),
            None => self.0.push((stage, vec![took])),
        }
        made
    }

    fn print(&mut self) {
        for (stage, times) in &mut self.0 {
            times.sort_unstable();
            let millis = |time: Duration| time.as_secs_f64() * 1e3;
            let (least, median) = (millis(times[0]), millis(times[times.len() / 2]));
            println!("    {stage:<40} {least:>9.2} {median:>9.2}");
        }
    }
}

/// What this process has used so far.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.try_into().unwrap()
}

fn resources(files: &[String]) -> Vec<Arc<Resource>> {
    let edge = [EDGE.to_owned()];
    let loaded = files.iter().chain(&edge).enumerate().map(|(index, text)| {
        let loaded = parse(&format!("resources/file-{index}.yaml"), text);
        assert_eq!(loaded.problems, []);
        loaded.resources
    });
    loaded.flatten().collect()
}

/// What a proxy is sent, in frames as long as a session's.
fn frames(before: &Document, after: &Document) -> Vec<Vec<u8>> {
    let updates = Updates::new(after.changes_since(before), 1 << 20);
    updates.unwrap().collect()
}

fn node() -> Node {
    Node {
        name: "gateway".to_owned(),
        namespace: "default".to_owned(),
        labels: BTreeMap::from([("app".to_owned(), "gateway".to_owned())]),
        gateways: GatewayScope::Selected,
        ..Node::default()
    }
}

fn decode(frames: &[Vec<u8>]) -> Vec<Message> {
    let messages = frames.iter().map(|frame| Message::decode(frame).unwrap());
    messages.map(|found| found.unwrap().0).collect()
}

fn merge(mut held: Document, updates: Vec<Message>) -> Document {
    for message in updates {
        let Message::Update(update) = message else {
            unreachable!("nothing else was encoded")
        };
        for upsert in update.upserts {
            held.upsert_versioned(upsert.part, upsert.version);
        }
    }
    held
}

fn reload(layout: fn(u32) -> Vec<String>) {
    let node = node();
    let first = World::new(&resources(&layout(0)), []);
    let mut held = assemble(&first, &node).0;
    let mut snapshot = Snapshot::compile(None, &held, &Resolved::new()).unwrap();
    let mut stages = Stages::default();
    for round in 1..=ROUNDS {
        let files = layout(u32::try_from(round).unwrap());
        let resources = stages.time("parse", || resources(&files));
        let world = stages.time("world", || World::new(&resources, []));
        let wanted = stages.time("assemble", || assemble(&world, &node).0);
        let problems = stages.time("check (assemble and compile)", || {
            check_world(&world, [&node])
        });
        assert_eq!(problems, []);
        let frames = stages.time("diff and encode", || frames(&held, &wanted));
        let updates = stages.time("decode", || decode(&frames));
        held = stages.time("merge", || merge(std::mem::take(&mut held), updates));
        assert_eq!(held, wanted);
        snapshot = stages.time("compile", || {
            Snapshot::compile(Some(&snapshot), &held, &Resolved::new()).unwrap()
        });
    }
    stages.print();
}

/// One endpoint of one service comes or goes.
fn endpoint() {
    let node = node();
    let file = |number: u32, is_longer: bool| {
        let mut yaml = format!(
            "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n\
             metadata: {{name: s-{number}}}\n\
             spec:\n  hosts: [s-{number}.internal]\n  resolution: STATIC\n  \
             ports: [{{number: 80, name: http, protocol: HTTP}}]\n  endpoints:\n"
        );
        for endpoint in 0..ENDPOINTS + u32::from(is_longer) {
            let [_, a, b, c] = (number * (ENDPOINTS + 1) + endpoint).to_be_bytes();
            let _ = writeln!(yaml, "  - address: 10.{a}.{b}.{c}");
        }
        yaml
    };
    let routes = (0..SERVICES).map(|number| {
        format!(
            "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n\
             metadata: {{name: v-{number}}}\n\
             spec:\n  hosts: [s-{number}.example]\n  gateways: [gateway]\n  http:\n  \
             - route: [{{destination: {{host: s-{number}.internal}}}}]\n"
        )
    });
    let mut files: Vec<String> = (0..SERVICES).map(|number| file(number, false)).collect();
    files.push(routes.collect());
    let world = World::new(&resources(&files), []);
    let mut held = assemble(&world, &node).0;
    let mut snapshot = Snapshot::compile(None, &held, &Resolved::new()).unwrap();
    let changed = [true, false].map(|is_longer| {
        files[0] = file(0, is_longer);
        assemble(&World::new(&resources(&files), []), &node).0
    });
    let mut stages = Stages::default();
    for round in 0..ROUNDS {
        let wanted = &changed[round % 2];
        let frames = stages.time("diff and encode", || frames(&held, wanted));
        let updates = stages.time("decode", || decode(&frames));
        let after = stages.time("merge", || merge(held.clone(), updates));
        held = after;
        assert_eq!(held, *wanted);
        snapshot = stages.time("compile", || {
            Snapshot::compile(Some(&snapshot), &held, &Resolved::new()).unwrap()
        });
    }
    stages.print();
}

fn main() {
    let filter = env::args().skip(1).find(|text| !text.starts_with('-'));
    println!("milliseconds {:>41} {:>9}", "least", "median");
    for (name, layout) in LAYOUTS {
        if filter.as_ref().is_none_or(|part| name.contains(part)) {
            println!("{name}");
            reload(*layout);
        }
    }
    let name = "an endpoint of 100k, in 100 services";
    if filter.is_none_or(|part| name.contains(&part)) {
        println!("{name}");
        endpoint();
    }
}
