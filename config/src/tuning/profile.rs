//! Presets of `ringmain.toml`: the default and what differs from it for a known purpose.

use std::{path::PathBuf, time::Duration};

use super::{AccessLog, EscapedSlashes, PathNormalization, Tuning, UnderscoresInHeaders};

/// A preset.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    adjust: fn(&mut Tuning),
}

/// Every preset, the default first.
pub const PROFILES: [Profile; 5] = [
    Profile {
        name: "default",
        about: "a sidecar or a gateway on a host of its own",
        adjust: |_| {},
    },
    Profile {
        name: "minimal",
        about: "one worker, small buffers, few connections",
        adjust: minimal,
    },
    Profile {
        name: "edge",
        about: "a gateway that faces strangers: shorter timeouts, tighter limits",
        adjust: edge,
    },
    Profile {
        name: "throughput",
        about: "most requests per core: large ring and pools, no access log",
        adjust: throughput,
    },
    Profile {
        name: "demo",
        about: "one of many proxies on a host: one unpinned worker",
        adjust: demo,
    },
];

impl Profile {
    /// The preset of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        PROFILES.iter().find(|profile| profile.name == name)
    }

    /// Its values.
    pub fn tuning(&self) -> Tuning {
        let mut tuning = Tuning::default();
        (self.adjust)(&mut tuning);
        tuning
    }

    /// A whole `ringmain.toml`: every key with its comment.
    pub fn to_toml(&self) -> String {
        format!(
            "# ringmain.toml, profile {}: {}.\n# Delete what you do not change: a key that is \
             absent has its default.\n\n{}",
            self.name,
            self.about,
            self.tuning().to_toml()
        )
    }
}

fn minimal(tuning: &mut Tuning) {
    tuning.workers.count = 1;
    tuning.workers.pin = false;
    tuning.workers.entries = 256;
    let limits = &mut tuning.limits;
    limits.downstream_connections = 1024;
    limits.upstream_connections = 1024;
    limits.mirrors = 64;
    limits.upstream_idle_connections = 8;
    limits.buffer_bytes = 4096;
    limits.http2_streams = 100;
    limits.http2_stream_window_bytes = 65_535;
    limits.http2_connection_window_bytes = 100 * 65_535;
    limits.metric_series = 1000;
}

/// Strangers may be slow or hostile on purpose: hold less for each of them, and not for long.
fn edge(tuning: &mut Tuning) {
    tuning.workload.gateways = crate::node::GatewayScope::Selected;
    let limits = &mut tuning.limits;
    limits.head_bytes = 32 * 1024;
    limits.target_bytes = 8 * 1024;
    limits.body_bytes = 100 << 20;
    limits.request_head_timeout = Duration::from_secs(5);
    limits.connection_idle_timeout = Duration::from_secs(60);
    limits.stream_idle_timeout = Duration::from_secs(60);
    limits.drain_timeout = Duration::from_secs(45);
    limits.http2_streams = 100;
    limits.http2_stream_window_bytes = 65_535;
    limits.http2_connection_window_bytes = 100 * 65_535;
    limits.http2_send_buffer_bytes = 64 * 1024;
    limits.http2_error_resets = 100;
    // What those behind could read in two ways is not let in.
    let http = &mut tuning.http;
    http.underscores_in_headers = UnderscoresInHeaders::Reject;
    http.path_normalization = PathNormalization::MergeSlashes;
    http.escaped_slashes = EscapedSlashes::UnescapeAndRedirect;
}

fn throughput(tuning: &mut Tuning) {
    tuning.workers.entries = 8192;
    tuning.log.access = AccessLog::Off;
    let limits = &mut tuning.limits;
    limits.downstream_connections = 100_000;
    limits.upstream_connections = 100_000;
    limits.upstream_idle_connections = 8192;
    limits.buffer_bytes = 32 * 1024;
}

fn demo(tuning: &mut Tuning) {
    tuning.workers.count = 1;
    tuning.workers.pin = false;
    tuning.workers.entries = 256;
    tuning.control.socket = Some(PathBuf::from("control.sock"));
    tuning.control.snapshot = Some(PathBuf::from("snapshot.json"));
    tuning.admin.listen = ([127, 0, 0, 1], 0).into();
    tuning.limits.downstream_connections = 1024;
    tuning.limits.upstream_connections = 1024;
    tuning.limits.drain_timeout = Duration::from_secs(2);
    tuning.log.access = AccessLog::File(PathBuf::from("./access.log"));
}
