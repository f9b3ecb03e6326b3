//! Snapshots of meshes with 100,000 endpoints.

use std::hint::black_box;

use ringmain_config::document::{Document, Part};
use ringmain_core::snapshot::{Resolved, Snapshot};

use super::Run;
use crate::document;

const ENDPOINTS: u32 = 100_000;

/// What a mesh consists of.
#[derive(Clone, Copy)]
pub(super) struct Mesh {
    /// Which share the endpoints.
    pub(super) clusters: u32,
    /// One table on one listener, with a host for each cluster and a route to it.
    pub(super) has_routes: bool,
}

impl Mesh {
    fn document(self) -> Document {
        let numbers = 0..self.clusters;
        let clusters = numbers.clone().flat_map(|number| {
            let [cluster, _] = document::cluster(&name(number), &[]);
            [cluster, self.endpoints(number, None)]
        });
        let mut parts: Vec<Part> = clusters.collect();
        if self.has_routes {
            let host = |number| {
                let to_cluster = document::forward(&[(&name(number), 1)]);
                let route = document::route_to("all", document::prefix("/"), to_cluster);
                let host = format!("{}.example", name(number));
                document::virtual_host(&host, &[&host], vec![route])
            };
            parts.push(document::table("t", numbers.map(host).collect()));
            parts.push(document::listener("l", "127.0.0.1:80", "t"));
        }
        document::document(parts)
    }

    /// The set of one cluster. `Some`: its first endpoint has another address than in the mesh.
    fn endpoints(self, cluster: u32, changed: Option<u32>) -> Part {
        let count = ENDPOINTS / self.clusters;
        let addresses: Vec<String> = (0..count)
            .map(|endpoint| {
                let [_, a, b, c] = (cluster * count + endpoint).to_be_bytes();
                match changed.filter(|_| endpoint == 0) {
                    Some(changed) => format!("10.200.0.{changed}:8080"),
                    None => format!("10.{a}.{b}.{c}:8080"),
                }
            })
            .collect();
        let endpoints: Vec<(&str, u32)> = addresses.iter().map(|text| (&**text, 1)).collect();
        document::endpoints_of(&name(cluster), &endpoints)
    }
}

fn name(cluster: u32) -> String {
    format!("cluster-{cluster}")
}

/// As after a start.
pub(super) fn whole(mesh: Mesh) -> Run {
    let mesh = mesh.document();
    Box::new(move |times| {
        for _ in 0..times {
            black_box(Snapshot::compile(None, black_box(&mesh), &Resolved::new()).unwrap());
        }
    })
}

/// One endpoint has another address, and everything else is as it was. Compiled on top of the
/// snapshot before, which is then the next one's. What changes in the Document is done beforehand.
pub(super) fn one_endpoint(mesh: Mesh) -> Run {
    let mut first = mesh.document();
    first.upsert(mesh.endpoints(mesh.clusters / 2, Some(1)));
    let mut second = first.clone();
    second.upsert(mesh.endpoints(mesh.clusters / 2, Some(2)));
    let mut held = Snapshot::compile(None, &second, &Resolved::new()).unwrap();
    let documents = [first, second];
    let mut turn = 0;
    Box::new(move |times| {
        for _ in 0..times {
            let document = black_box(&documents[turn % 2]);
            turn += 1;
            held = Snapshot::compile(Some(&held), document, &Resolved::new()).unwrap();
        }
        black_box(&held);
    })
}
