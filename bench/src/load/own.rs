//! `ringmain load`, whose result is JSON.

use std::{collections::BTreeMap, net::SocketAddr};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::{Direction, Extent, Load, Outcome, Started, What};
use crate::{bench::Bench, process::Program};

/// Begins to send `load`.
///
/// # Errors
/// When it cannot be run.
pub fn start(load: &Load, bench: &Bench) -> Result<Started> {
    let program = Program::on_cores(&bench.load_cores(), &[], &bench.own, "ringmain load");
    let program = program.args(["load"]).args(arguments(load));
    Ok(Started {
        program: program.capture()?,
        read,
    })
}

fn arguments(load: &Load) -> Vec<String> {
    let address = load.address;
    let mut all: Vec<String> = match load.what {
        What::Get(path) => vec![format!("http://{address}{path}")],
        What::Connect(path) => vec![
            format!("http://{address}{path}"),
            "--connect-per-request".into(),
        ],
        What::Secured(path) => secured(address, path),
        What::Handshakes(path, resumes) => {
            let mut all = secured(address, path);
            all.push("--connect-per-request".into());
            all.extend((!resumes).then(|| "--full-handshakes".into()));
            all
        }
        What::Post(path, bytes) => vec![
            format!("http://{address}{path}"),
            format!("--body-size={bytes}"),
        ],
        What::Table(table) => {
            let urls = (0..table.hosts * table.routes).map(|number| {
                let (host, path) = table.address(number);
                format!("http://{host}{path}")
            });
            urls.chain([format!("--connect-to={address}")]).collect()
        }
        What::Streams(path, streams) => vec![
            format!("http://{address}{path}"),
            "--http2".into(),
            format!("--streams={streams}"),
        ],
        What::Calls(bytes, streams) => vec![
            format!("grpc://{address}/bench.Bench/Call"),
            format!("--body-size={bytes}"),
            format!("--streams={streams}"),
        ],
        What::Echo(bytes) => vec![
            format!("tcp-echo://{address}"),
            format!("--body-size={bytes}"),
        ],
        What::Stream(direction) => vec![
            format!("tcp-stream://{address}"),
            format!(
                "--direction={}",
                match direction {
                    Direction::Up => "send",
                    Direction::Down => "receive",
                }
            ),
        ],
    };
    all.push(format!("--connections={}", load.connections));
    all.push(match load.extent {
        Extent::Time(time) => format!("--duration={}us", time.as_micros()),
        Extent::Requests(count) => format!("--requests={count}"),
    });
    all.extend(load.rate.map(|rate| format!("--rate={rate:.1}")));
    all.extend(["-o".into(), "json".into(), "--quiet".into()]);
    all
}

/// Of requests within TLS.
fn secured(address: SocketAddr, path: &str) -> Vec<String> {
    let url = format!("https://{address}{path}");
    vec![url, "--insecure".into(), "--http1".into()]
}

/// The part of the result that is of use here.
#[derive(Debug, Deserialize)]
struct Summary {
    requests: u64,
    answered: u64,
    duration_s: f64,
    errors: BTreeMap<String, u64>,
    #[serde(default)]
    error_examples: BTreeMap<String, String>,
    status: BTreeMap<u16, u64>,
    bytes_in: u64,
    bytes_out: u64,
    #[serde(default)]
    drained: Option<Drained>,
    latency_us: Option<Latency>,
    generator: Own,
}

#[derive(Debug, Deserialize)]
struct Drained {
    bytes_in: u64,
    bytes_out: u64,
    cut: u64,
}

#[derive(Debug, Deserialize)]
struct Latency {
    p50: f64,
    p99: f64,
    max: f64,
}

#[derive(Debug, Deserialize)]
struct Own {
    bottleneck: bool,
    reason: Option<String>,
    cpu_s: f64,
}

fn read(output: &str) -> Result<Outcome> {
    let summary: Summary = serde_json::from_str(output)
        .with_context(|| format!("ringmain load printed no result: {output}"))?;
    let refused: u64 = summary
        .status
        .iter()
        // gRPC's that all is well is 0.
        .filter(|(status, _)| **status != 0 && !(200..400).contains(*status))
        .map(|(_, count)| count)
        .sum();
    let figure = |of: fn(&Latency) -> f64| summary.latency_us.as_ref().map_or(0.0, of);
    let drained = summary.drained.as_ref();
    let drained_part = |of: fn(&Drained) -> u64| drained.map_or(0, of);
    let Summary {
        errors,
        error_examples,
        status,
        ..
    } = &summary;
    let complaint = format!("errors {errors:?} {error_examples:?}, status {status:?}");
    Ok(Outcome {
        requests: summary.answered - refused,
        failures: summary.requests - summary.answered + refused,
        complaint,
        seconds: summary.duration_s,
        bytes_in: summary.bytes_in,
        bytes_out: summary.bytes_out,
        drained_in: drained_part(|drained| drained.bytes_in),
        drained_out: drained_part(|drained| drained.bytes_out),
        cut: drained_part(|drained| drained.cut),
        p50: figure(|latency| latency.p50),
        p99: figure(|latency| latency.p99),
        max: figure(|latency| latency.max),
        cpu_seconds: Some(summary.generator.cpu_s),
        bottleneck: summary.generator.bottleneck.then(|| {
            let reason = summary.generator.reason.clone();
            reason.unwrap_or_else(|| "unsaid".to_owned())
        }),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{arguments, read};
    use crate::{
        load::{Direction, Extent, Load, What},
        table::Table,
    };

    #[test]
    fn asks_for_what_is_meant() {
        let address = "127.0.0.1:80".parse().unwrap();
        let extent = Extent::Time(Duration::from_millis(1500));
        let check = |what: What, rate: Option<f64>, expected: &str| {
            let load = Load {
                address,
                what,
                connections: 64,
                rate,
                extent,
            };
            let rest = " -o json --quiet";
            assert_eq!(arguments(&load).join(" "), format!("{expected}{rest}"));
        };
        let pace = "--connections=64 --duration=1500000us";
        check(
            What::Get("/bytes/9"),
            Some(1234.56),
            &format!("http://127.0.0.1:80/bytes/9 {pace} --rate=1234.6"),
        );
        check(
            What::Connect("/"),
            None,
            &format!("http://127.0.0.1:80/ --connect-per-request {pace}"),
        );
        check(
            What::Secured("/"),
            None,
            &format!("https://127.0.0.1:80/ --insecure --http1 {pace}"),
        );
        check(
            What::Handshakes("/", false),
            None,
            &format!(
                "https://127.0.0.1:80/ --insecure --http1 --connect-per-request \
                 --full-handshakes {pace}"
            ),
        );
        check(
            What::Post("/", 7),
            None,
            &format!("http://127.0.0.1:80/ --body-size=7 {pace}"),
        );
        check(
            What::Streams("/", 100),
            None,
            &format!("http://127.0.0.1:80/ --http2 --streams=100 {pace}"),
        );
        check(
            What::Calls(7, 100),
            None,
            &format!("grpc://127.0.0.1:80/bench.Bench/Call --body-size=7 --streams=100 {pace}"),
        );
        let table = Table {
            hosts: 2,
            routes: 1,
        };
        check(
            What::Table(table),
            None,
            &format!(
                "http://host-0.example/route-0/items/42 http://host-1.example/route-0/items/42 \
                 --connect-to=127.0.0.1:80 {pace}"
            ),
        );
        check(
            What::Stream(Direction::Down),
            None,
            &format!("tcp-stream://127.0.0.1:80 --direction=receive {pace}"),
        );
    }

    #[test]
    fn reads_the_summary() {
        let json = r#"{"format":1,"requests":10,"answered":8,"failed":3,"duration_s":2.0,
            "errors":{"timeout":2},"error_examples":{"timeout":"late"},"status":{"200":7,"503":1},
            "bytes_in":5,"bytes_out":6,"latency_us":{"min":1,"p50":2,"p99":3,"max":4},
            "drained":{"bytes_in":7,"bytes_out":8,"cut":9},
            "generator":{"bottleneck":true,"reason":"its CPU","cpu_s":0.5}}"#;
        let outcome = read(json).unwrap();
        assert_eq!((outcome.requests, outcome.failures), (7, 3));
        assert_eq!((outcome.bytes_in, outcome.bytes_out), (5, 6));
        let drained = (outcome.drained_in, outcome.drained_out, outcome.cut);
        assert_eq!(drained, (7, 8, 9));
        assert_eq!(outcome.bottleneck.as_deref(), Some("its CPU"));
        assert!(outcome.complaint.contains("late"), "{}", outcome.complaint);
        assert!((outcome.rate() - 3.5).abs() < 1e-9);
        assert!(read("nonsense").is_err());
    }
}
