//! Every key of `ringmain.toml`, once: meaning, name, type, default, limits.
//!
//! A new key is one entry here and nothing else; the reference and the presets follow.

use std::{collections::BTreeMap, net::IpAddr, net::SocketAddr, path::PathBuf, time::Duration};

use super::{
    AccessLog, EscapedSlashes, ForwardClientCert, Io, Level, PathNormalization, ServerHeader,
    UnderscoresInHeaders,
    constraint::{between, field_value, identifier, power_of_two},
    section::section,
};
use crate::node::GatewayScope;

section! {
    /// The workload that this proxy stands beside.
    workload: Workload {
        /// Name of the workload, unique in its namespace. Empty: the host's name.
        name: String = String::new(), identifier();
        /// Namespace of the workload: what short service names in resources are relative to.
        namespace: String = "default".to_owned(), identifier();
        /// Service account that the workload claims.
        service_account: String = "default".to_owned(), identifier();
        /// Labels, as the selectors of Gateways, Sidecars and services match them.
        labels: BTreeMap<String, String> = BTreeMap::new();
        /// Address at which other workloads reach this one. With it the workload registers itself
        /// as an endpoint of the services that select its labels. Empty: it does not.
        address: Option<IpAddr> = None;
        /// Port name to port number of the application, where it differs from the service's port.
        ports: BTreeMap<String, u16> = BTreeMap::new();
        /// Which Gateways this proxy serves: those that select its labels, or all.
        gateways: GatewayScope = GatewayScope::Selected;
    }
}

section! {
    /// The threads that carry traffic, each with its own ring, connections and pools.
    workers: Workers {
        /// Number of workers. 0: as many as the process may use cores, by its CPU set and its
        /// cgroup's quota.
        count: u32 = 0, between(0, 1024);
        /// Each worker stays on a core of its own. Turn it off when several proxies share the
        /// cores.
        pin: bool = true;
        /// Interface to the kernel. `auto` takes io_uring with the best flags the kernel accepts,
        /// else epoll, and says so; `uring` refuses to start without io_uring. `uring-coop`
        /// does too, and does without the flags of kernel 6.1: for a comparison.
        io: Io = Io::Auto;
        /// Entries in a worker's submission ring: operations started before the kernel is entered.
        entries: u32 = 4096, power_of_two(256, 32_768);
    }
}

section! {
    /// Where the proxy's configuration comes from and where the last good one is kept.
    control: Control {
        /// Unix socket of the control plane. Empty: none, the proxy serves what `snapshot` holds.
        socket: Option<PathBuf> = Some(PathBuf::from("/run/ringmain/control.sock"));
        /// File that keeps the last good configuration, so that the proxy starts and serves
        /// without a control plane. Each proxy of a host needs a file of its own. Empty: none.
        snapshot: Option<PathBuf> = Some(PathBuf::from("/var/lib/ringmain/snapshot.json"));
        /// Pause before the first try to connect again. It doubles with each failure.
        reconnect_pause_min: Duration = Duration::from_millis(100),
            between(Duration::from_millis(1), Duration::from_secs(60));
        /// The pause grows no longer than this.
        reconnect_pause_max: Duration = Duration::from_secs(5),
            between(Duration::from_millis(1), Duration::from_secs(600));
    }
}

section! {
    /// The admin endpoint: readiness, statistics, dumps and drain, over HTTP without credentials.
    admin: Admin {
        /// Address and port. Port 0 takes a free one and prints it.
        listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 15000));
        /// Permits a `listen` address that other hosts can reach. Who reaches it can stop the
        /// proxy and read its configuration.
        allow_remote: bool = false;
    }
}

section! {
    /// What the proxy holds or waits for at most. A request over a limit is refused, counted and
    /// logged with a response flag; none is dropped in silence.
    limits: Limits {
        /// Bytes of a request's or response's head: request or status line and all fields.
        /// Over it: 431 downstream, 502 from upstream.
        head_bytes: usize = 60 * KIB, between(KIB, 192 * KIB);
        /// Header fields in one head. Over it: 431 downstream, 502 from upstream.
        headers: usize = 100, between(1, 4096);
        /// Bytes of a request's target. Over it: 414. Twice what RFC 9112 asks for at least.
        target_bytes: usize = 16 * KIB, between(64, 192 * KIB);
        /// Bytes of a request's body. Over it: 413. 0: no limit, since bodies are streamed, not
        /// kept.
        body_bytes: u64 = 0, between(0, i64::MAX as u64);
        /// Bytes of a request's body, its trailers included, that are kept while the request may
        /// have to be tried once more, or copied to a mirror. Over it: it is not. Nothing is kept
        /// when neither is asked for.
        replay_bytes: usize = 64 * KIB, between(0, 16 * 1024 * KIB);
        /// Time from a request's first byte to the end of its head. Over it: 408.
        request_head_timeout: Duration = Duration::from_secs(10), between(TIMEOUT_MIN, TIMEOUT_MAX);
        /// Time in which a client's first bytes must say what it speaks, on a listener that finds
        /// out for itself. After it, the connection carries bytes, not requests: who waits for the
        /// server to speak first waits so long.
        protocol_detection_timeout: Duration = Duration::from_secs(5),
            between(TIMEOUT_MIN, TIMEOUT_MAX);
        /// Time in which a TLS handshake must end, from the beginning of its connection on. Over it:
        /// the connection is closed.
        tls_handshake_timeout: Duration = Duration::from_secs(10),
            between(TIMEOUT_MIN, TIMEOUT_MAX);
        /// A downstream connection without a request is closed after it.
        connection_idle_timeout: Duration = Duration::from_secs(3600),
            between(TIMEOUT_MIN, TIMEOUT_MAX);
        /// A request during which no byte moves, in either direction, is ended after it: 408 while
        /// its body is awaited, 504 while its response is.
        stream_idle_timeout: Duration = Duration::from_secs(300),
            between(TIMEOUT_MIN, TIMEOUT_MAX);
        /// After the signal to stop, new connections are refused and requests under way may end
        /// within this time. The process then stops, sooner when nothing is left. Connections of a
        /// listener that the configuration has no more may go on for as long.
        drain_timeout: Duration = Duration::from_secs(30),
            between(Duration::ZERO, Duration::from_secs(3600));
        /// Downstream connections of one worker. Over it: the connection is closed when accepted.
        downstream_connections: u32 = 20_000, between(1, 10_000_000);
        /// Upstream connections of one worker, busy and idle together. Over it: 503 with flag UO.
        upstream_connections: u32 = 20_000, between(1, 10_000_000);
        /// Copies of requests for mirrors that one worker has under way, each with its body
        /// (`replay_bytes` at most) until it is sent. Their connections are not among
        /// `upstream_connections`. Over it: the copy is dropped, and the request is none the wiser.
        /// 0: no copies are sent.
        mirrors: u32 = 512, between(0, 1_000_000);
        /// Idle connections that one worker keeps to one endpoint for the next request. Fewer than
        /// there are requests under way at a time, such as one HTTP/2 client's `http2_streams`, and
        /// connections are opened and closed all the time.
        upstream_idle_connections: u32 = 1024, between(0, 100_000);
        /// Pipes of one worker through which long transfers go, TCP and bodies of known length.
        /// Only those to slow receivers hold one for longer than a moment, with up to 1 MiB in it.
        /// Over it: a transfer goes through a buffer. 0: no pipes are used.
        pipes: u32 = 64, between(0, 100_000);
        /// Bytes of a connection's buffer while something is in it. A transfer that keeps filling
        /// it gets a larger one.
        buffer_bytes: usize = 16 * KIB, between(4 * KIB, 64 * KIB);
        /// Requests that one HTTP/2 connection of a client may have under way. Over it: the stream
        /// is refused (REFUSED_STREAM), which counts in `http2_error_resets`.
        http2_streams: u32 = 1024, between(1, 65_536);
        /// Bytes of one HTTP/2 stream that may have arrived and not gone on: SETTINGS'
        /// INITIAL_WINDOW_SIZE, of clients and of upstreams. A connection to an upstream, which
        /// many clients share, has room for that of each of its streams.
        http2_stream_window_bytes: u32 = 256 << 10, between(65_535, 16 << 20);
        /// The same for all streams of a client's HTTP/2 connection together, at least for two.
        /// When so much has arrived for upstreams that do not read, the connection's other uploads
        /// wait, too; with as much as `http2_streams` windows of a stream, they never do.
        http2_connection_window_bytes: u32 = 64 << 20, between(131_070, 256 << 20);
        /// Bytes of one HTTP/2 stream that are kept for being sent, besides what the kernel keeps.
        http2_send_buffer_bytes: usize = 128 * KIB, between(16 * KIB, 16 << 20);
        /// Streams of an HTTP/2 connection that are reset or refused for an error of the peer, in
        /// all. Over it: the connection is closed (ENHANCE_YOUR_CALM).
        http2_error_resets: u32 = 200, between(10, 100_000);
        /// Requests of an HTTP/2 connection that its client resets within two seconds and before an
        /// answer. When it has reset so many, and half of all its requests: the connection is
        /// closed (ENHANCE_YOUR_CALM).
        http2_early_resets: u32 = 250, between(10, 100_000);
        /// Frames per second of an HTTP/2 connection that bring neither a request nor data (PING,
        /// SETTINGS, PRIORITY, WINDOW_UPDATE, resets and what is unknown), beyond what belongs to
        /// requests and data. Ten seconds' worth may come at once. Over it: the connection is
        /// closed (ENHANCE_YOUR_CALM).
        http2_idle_frames: u32 = 1000, between(10, 1_000_000);
        /// An HTTP/2 connection of a client is asked so often whether it is still there (PING).
        /// 0: never. Those to upstreams are asked as their cluster says.
        http2_keep_alive_interval: Duration = Duration::ZERO,
            between(Duration::ZERO, TIMEOUT_MAX);
        /// One that has not answered within this time is ended.
        http2_keep_alive_timeout: Duration = Duration::from_secs(20),
            between(TIMEOUT_MIN, TIMEOUT_MAX);
        /// An HTTP/2 connection of this age takes no further requests (GOAWAY), so that its client
        /// connects anew and its load can be spread again. 0: it may grow as old as it likes.
        http2_connection_age: Duration = Duration::ZERO, between(Duration::ZERO, TIMEOUT_MAX);
        /// Series of one metric that one worker keeps. Over it, new label sets count in one series
        /// whose labels are all `overflow`.
        metric_series: u32 = 10_000, between(1, 10_000_000);
    }
}

section! {
    /// How requests are read and what of them is trusted, beyond what mesh policy says.
    http: Http {
        /// What is made of a path, once, before routes and policies see it and the upstream gets
        /// it. `base`: escapes of unreserved characters are undone, `\` becomes `/`, dot segments
        /// are removed (RFC 3986 section 6.2.2). `merge_slashes`: also, of neighbouring slashes one
        /// is left. `decode_and_merge_slashes`: also, `%2F` and `%5C` are undone before. With
        /// `none` a policy on paths can be evaded.
        path_normalization: PathNormalization = PathNormalization::Base;
        /// What is done with a path that holds `%2F` or `%5C`, which some servers take for slashes.
        /// `reject` answers 400 and is recommended where authorization looks at paths.
        /// `unescape_and_redirect` answers 307 with what comes of it, and 400 for gRPC.
        escaped_slashes: EscapedSlashes = EscapedSlashes::Keep;
        /// What is done with header fields and trailers whose name holds `_`, which some servers
        /// take for `-`: a client can forge a field that the proxy sets. `reject` answers 400,
        /// `drop` does not send them on.
        underscores_in_headers: UnderscoresInHeaders = UnderscoresInHeaders::Allow;
        /// What becomes of the `Server` field of upstreams' answers. The proxy's own answers have
        /// one, unless it is `pass_through`.
        server_header: ServerHeader = ServerHeader::Overwrite;
        /// What the proxy writes there. It is not `envoy` or `istio-envoy`, since nobody who looks
        /// for a cause is helped by the name of another program.
        server_name: String = "ringmain".to_owned(), field_value();
        /// Trusted proxies in front of a gateway, which append the address that a request came from
        /// to `x-forwarded-for`. 0: the client is who opened the connection. Sidecars do not look
        /// at the field.
        xff_trusted_hops: u32 = 0, between(0, 64);
        /// What a gateway does with `x-forwarded-client-cert`. `sanitize_set`: it says what the
        /// client has shown, and nothing that it wrote. `append_forward` and `forward_only` believe
        /// a client that has shown a certificate, `always_forward_only` anybody: only behind a
        /// proxy that sees to it. Sidecars append what another workload has shown, and pass on
        /// nothing from who has shown nothing.
        forward_client_cert: ForwardClientCert = ForwardClientCert::SanitizeSet;
    }
}

section! {
    /// What the proxy writes down.
    log: Log {
        /// The program's own messages, on standard error. `RINGMAIN_LOG` wins over it. In a release
        /// build `trace` says no more than `debug`.
        level: Level = Level::Info;
        /// Where the access log goes: `off`, `/dev/stdout`, `/dev/stderr` or the path of a file to
        /// append to. Its format is Istio's default text format.
        access: AccessLog = AccessLog::Stdout;
    }
}

const KIB: usize = 1024;
/// Shorter ones cannot be told from a busy core.
const TIMEOUT_MIN: Duration = Duration::from_millis(10);
/// A week: what is longer is a leak.
const TIMEOUT_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
