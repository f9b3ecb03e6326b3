//! The programs that are measured, one file each; their configurations lie in `bench/peers/`.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result};

use crate::{
    client::Connection,
    process::{Process, Program, wait_until},
    table::Table,
};

pub mod haproxy;
pub mod nginx;
pub mod ringmain;

/// How long a program may take to start; under valgrind that is long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that answers requests.
#[derive(Debug)]
pub struct Peer {
    /// Where.
    pub address: SocketAddr,
    /// What its CPU time and memory are read from.
    pub process: Process,
}

impl Peer {
    /// Takes over a program once it answers a request.
    fn answering(mut process: Process, port: u16) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let request = Table::SMALL.request(0);
        wait_until(&mut process, PATIENCE, |_| {
            let answer = Connection::open(address).and_then(|mut client| client.ask(&request));
            answer.is_ok()
        })?;
        Ok(Self { address, process })
    }

    /// What its name is in results.
    pub fn name(&self) -> &'static str {
        self.process.name
    }
}

/// A port that nobody listens on at the moment.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}

/// The template of a configuration with its `@NAME@`s replaced.
fn fill(template: &str, values: &[(&str, &dyn std::fmt::Display)]) -> String {
    let mut text = template.to_owned();
    for (name, value) in values {
        text = text.replace(&format!("@{name}@"), &value.to_string());
    }
    text
}

/// The first line that `program` prints about its version.
pub fn version(program: &str, argument: &str) -> String {
    let program = Program::on_core(0, &[], Path::new("sh"), "sh")
        .args(["-c", &format!("{program} {argument} 2>&1 | head -n1")]);
    let text = program.output().unwrap_or_default();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::fill;

    #[test]
    fn templates_are_filled() {
        let templates = [
            (
                include_str!("../../peers/haproxy/haproxy.cfg"),
                &["PORT", "ORIGIN", "MAP"][..],
            ),
            (
                include_str!("../../peers/nginx/nginx.conf"),
                &["PORT", "DIR"],
            ),
            (
                include_str!("../../peers/ringmain/ringmain.toml"),
                &["SOCKET", "IO"],
            ),
            (
                include_str!("../../peers/ringmain/gateway.yaml"),
                &["PORT", "ORIGIN"],
            ),
        ];
        for (template, names) in templates {
            let values: Vec<_> = names.iter().map(|name| (*name, &1_u8 as _)).collect();
            let filled = fill(template, &values);
            assert_ne!(filled, template);
            assert!(!filled.contains('@'), "{filled}");
        }
    }
}
