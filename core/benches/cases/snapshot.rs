//! A mesh of 10,000 clusters with 10 endpoints each.

use std::hint::black_box;

use ringmain_config::document::Document;
use ringmain_core::snapshot::{Resolved, Snapshot};

use super::Run;
use crate::document;

const CLUSTERS: u32 = 10_000;
const ENDPOINTS: u32 = 10;

fn mesh() -> Document {
    let clusters = (0..CLUSTERS).flat_map(|cluster| {
        let addresses: Vec<String> = (0..ENDPOINTS)
            .map(|endpoint| {
                let [_, a, b, c] = (cluster * ENDPOINTS + endpoint).to_be_bytes();
                format!("10.{a}.{b}.{c}:8080")
            })
            .collect();
        let endpoints: Vec<(&str, u32)> = addresses.iter().map(|text| (&**text, 1)).collect();
        document::cluster(&format!("cluster-{cluster}"), &endpoints)
    });
    document::document(clusters)
}

/// As after a start.
pub(super) fn whole() -> Run {
    let mesh = mesh();
    Box::new(move |times| {
        for _ in 0..times {
            black_box(Snapshot::compile(None, black_box(&mesh), &Resolved::new()).unwrap());
        }
    })
}

/// On top of the snapshot before, which is then the next one's.
pub(super) fn one_endpoint() -> Run {
    let mut mesh = mesh();
    let mut held = Snapshot::compile(None, &mesh, &Resolved::new()).unwrap();
    let sets = ["10.9.9.1:1", "10.9.9.2:1"]
        .map(|address| document::endpoints_of("cluster-5000", &[(address, 1)]));
    let mut turn = 0;
    Box::new(move |times| {
        for _ in 0..times {
            mesh.upsert(sets[turn % 2].clone());
            turn += 1;
            held = Snapshot::compile(Some(&held), black_box(&mesh), &Resolved::new()).unwrap();
        }
        black_box(&held);
    })
}
