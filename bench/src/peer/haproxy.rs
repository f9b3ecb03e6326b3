//! haproxy, its connections to the origin shared by all requests.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;

use super::{Carries, Running, Size, Task, Version, fill, free_port};
use crate::{certificates, process::Program, table::Table};

/// Bytes of haproxy's buffers, by default.
const BUFFER_BYTES: u32 = 16_384;
/// Where bodies are large: what comes with a head is copied through a buffer, the rest is spliced.
const HTTP_LARGE_BYTES: u32 = 8192;
/// Where streams are: enough that what is not spliced goes in one piece.
const TCP_LARGE_BYTES: u32 = 98_304;

/// Starts it.
///
/// # Errors
/// When it does not start.
pub fn start(directory: &Path, cores: &str, task: &Task) -> Result<Running> {
    let (config, map) = (directory.join("haproxy.cfg"), directory.join("routes.map"));
    let port = free_port()?;
    let (template, table) = match task.carries.table() {
        Some(table) => (include_str!("../../peers/haproxy/http.cfg"), table),
        None => (include_str!("../../peers/haproxy/tcp.cfg"), Table::SMALL),
    };
    let buffer = match task.carries {
        Carries::Http(_, Size::Small)
        | Carries::Versions(..)
        | Carries::Tls
        | Carries::Tcp(Size::Small) => BUFFER_BYTES,
        Carries::Http(_, Size::Large) => HTTP_LARGE_BYTES,
        Carries::Tcp(Size::Large) => TCP_LARGE_BYTES,
    };
    let protocol = |version| match version {
        Version::One => String::new(),
        Version::Two => "proto h2".to_owned(),
    };
    let (client, upstream) = task.carries.versions();
    let client = match task.carries {
        Carries::Tls => {
            let both = certificates::make(directory)?.both;
            format!(
                "ssl crt {} ssl-min-ver TLSv1.3 alpn http/1.1",
                both.display()
            )
        }
        Carries::Http(..) | Carries::Versions(..) | Carries::Tcp(_) => protocol(client),
    };
    fs::write(&map, table.haproxy_map())?;
    let text = fill(
        template,
        &[
            ("PORT", &port),
            ("ORIGIN", &task.origin.port()),
            ("WORKERS", &task.workers),
            ("BUFFER", &buffer),
            ("CLIENT", &client),
            ("UPSTREAM", &protocol(upstream)),
            ("CHOICE", &table.haproxy_choice(&map.display().to_string())),
        ],
    );
    fs::write(&config, text)?;
    let process = Program::on_cores(cores, &[], &PathBuf::from("haproxy"), "haproxy")
        .args([Path::new("-db"), Path::new("-f"), &config])
        .start(directory)?;
    Running::ready(process, port, task.carries)
}
