//! HTTP/1.1 within TLS 1.3: requests on connections that are kept, and handshakes.

use anyhow::Result;

use super::{CONNECTIONS, compare_carrying};
use crate::{
    bench::Bench,
    load::What,
    peer::Carries,
    report::{Outline, Report},
    turns::{Comparison, REQUEST_COLUMNS},
};

pub(super) const OUTLINE: Outline = Outline {
    name: "tls",
    title: "HTTP/1.1 within TLS 1.3",
    about: "One core for the proxy, 64 connections, an ECDSA P-256 certificate, one route that \
            takes everything, answers of 100 B; to the origin in plain text. First on connections \
            that are kept; then with a connection, and a full handshake, for each request; then \
            with a session that is resumed for each.",
    columns: REQUEST_COLUMNS,
    charts: &["cpu_us_per_request"],
};

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let path = "/bytes/100";
    for (case, what, half_load) in [
        ("kept", What::Secured(path), true),
        ("full", What::Handshakes(path, false), false),
        ("resumed", What::Handshakes(path, true), false),
    ] {
        let comparison = Comparison {
            case,
            what,
            connections: CONNECTIONS,
            half_load,
        };
        compare_carrying(bench, report, Carries::Tls, comparison)?;
    }
    Ok(())
}
