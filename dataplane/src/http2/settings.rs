//! What an HTTP/2 connection may hold: every limit that the h2 crate has, said, whether its default
//! would do or not. What it has no limit for is counted by [`ringmain_core::http2`]'s `Resets` and
//! `IdleFrames`.

use std::time::Duration;

use h2::{client, server};
use ringmain_config::{cluster::KeepAlive, tuning};

/// How connections begin, made once for a worker.
#[derive(Clone, Debug)]
pub struct Settings {
    server: server::Builder,
    client: client::Builder,
    /// How clients are asked whether they are still there; `None`: not at all.
    pub keep_alive: Option<KeepAlive>,
    /// Age at which a client's connection takes no further requests. Zero: any.
    pub connection_age_max: Duration,
    /// For `Resets::new`.
    pub early_resets_max: u32,
    /// For `Bridge::watch_frames`.
    pub idle_frames_per_second: u32,
    /// Requests that a connection to an upstream carries at most: for so many streams its window
    /// has room even if nobody reads what comes on them.
    pub upstream_streams_max: u32,
}

/// The least that there is (RFC 9113 section 6.5.2): what a frame needs, h2 keeps in one piece.
const FRAME_BYTES_MAX: u32 = 16 << 10;
/// HPACK's tables: the protocol's own size (RFC 9113 section 6.5.2).
const HEADER_TABLE_BYTES: u32 = 4096;
/// Requests that were reset before they were accepted, which happens at once.
const UNACCEPTED_RESETS_MAX: usize = 20;
/// Streams that we have reset, which are remembered because frames for them may be on their way.
const REMEMBERED_RESETS_MAX: usize = 50;
const REMEMBERED_FOR: Duration = Duration::from_secs(1);
/// Requests on a connection to an upstream that has not said how many it takes: its hello is waited
/// for, and is noticed by this number's change.
const UNSAID_STREAMS_MAX: usize = 0;

/// More than most upstreams take on a connection.
const UPSTREAM_STREAMS_MAX: u32 = 1024;
/// The largest window that there is (RFC 9113 section 6.9.1).
const WINDOW_BYTES_MAX: u32 = (1 << 31) - 1;

impl Settings {
    /// As the tuning says.
    pub fn new(limits: &tuning::Limits) -> Self {
        // Each field counts for 32 bytes more (RFC 9113 section 6.5.2), and so do four of its own.
        // What the decoder would accept is not refused by h2 then, which would log nothing.
        let header_list_bytes = limits.head_bytes + 32 * (limits.headers + 4);
        let header_list_bytes = u32::try_from(header_list_bytes).unwrap_or(u32::MAX);
        let error_resets_max = Some(limits.http2_error_resets as usize);
        let mut server = server::Builder::new();
        server
            .max_concurrent_streams(limits.http2_streams)
            .initial_window_size(limits.http2_stream_window_bytes)
            .initial_connection_window_size(limits.http2_connection_window_bytes)
            .max_send_buffer_size(limits.http2_send_buffer_bytes)
            .max_frame_size(FRAME_BYTES_MAX)
            .max_header_list_size(header_list_bytes)
            .header_table_size(HEADER_TABLE_BYTES)
            .max_pending_accept_reset_streams(UNACCEPTED_RESETS_MAX)
            .max_local_error_reset_streams(error_resets_max)
            .max_concurrent_reset_streams(REMEMBERED_RESETS_MAX)
            .reset_stream_duration(REMEMBERED_FOR)
            .enable_connect_protocol();
        // The clients whose requests share a connection have nothing to do with each other. So one
        // that does not read must not take room from the others: the connection's window is no
        // bound, each stream's is.
        let stream_window = limits.http2_stream_window_bytes;
        let upstream_streams_max = UPSTREAM_STREAMS_MAX.min(WINDOW_BYTES_MAX / stream_window);
        let mut client = client::Builder::new();
        client
            .enable_push(false)
            .max_concurrent_streams(0)
            .initial_max_send_streams(UNSAID_STREAMS_MAX)
            .initial_window_size(stream_window)
            .initial_connection_window_size(upstream_streams_max * stream_window)
            .max_send_buffer_size(limits.http2_send_buffer_bytes)
            .max_frame_size(FRAME_BYTES_MAX)
            .max_header_list_size(header_list_bytes)
            .header_table_size(HEADER_TABLE_BYTES)
            .max_pending_accept_reset_streams(UNACCEPTED_RESETS_MAX)
            .max_local_error_reset_streams(error_resets_max)
            .max_concurrent_reset_streams(REMEMBERED_RESETS_MAX)
            .reset_stream_duration(REMEMBERED_FOR);
        Self {
            server,
            client,
            keep_alive: (!limits.http2_keep_alive_interval.is_zero()).then_some(KeepAlive {
                interval: limits.http2_keep_alive_interval,
                timeout: limits.http2_keep_alive_timeout,
            }),
            connection_age_max: limits.http2_connection_age,
            early_resets_max: limits.http2_early_resets,
            idle_frames_per_second: limits.http2_idle_frames,
            upstream_streams_max,
        }
    }

    /// For connections with clients.
    pub fn server(&self) -> &server::Builder {
        &self.server
    }

    /// For connections with upstreams.
    pub fn client(&self) -> &client::Builder {
        &self.client
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use ringmain_config::tuning;
    use ringmain_core::detect::PREFACE;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::Settings;

    fn settings() -> Settings {
        Settings::new(&tuning::Limits {
            head_bytes: 5000,
            headers: 6,
            http2_streams: 77,
            http2_stream_window_bytes: 70_000,
            http2_connection_window_bytes: 200_000,
            ..tuning::Limits::default()
        })
    }

    /// The next frame: kind and payload.
    async fn frame(peer: &mut DuplexStream) -> (u8, Vec<u8>) {
        let mut head = [0; 9];
        peer.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        peer.read_exact(&mut payload).await.unwrap();
        (head[3], payload)
    }

    /// Numbers and values of a SETTINGS frame, by number (RFC 9113 section 6.5.2, RFC 8441
    /// section 3), then what a WINDOW_UPDATE adds to the connection's window.
    async fn said(peer: &mut DuplexStream) -> (Vec<(u16, u32)>, u32) {
        let (kind, payload) = frame(peer).await;
        assert_eq!(kind, 4);
        let mut said: Vec<_> = payload
            .chunks(6)
            .map(|setting| {
                let value = u32::from_be_bytes(setting[2..].try_into().unwrap());
                (u16::from_be_bytes([setting[0], setting[1]]), value)
            })
            .collect();
        said.sort_unstable();
        peer.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
        loop {
            let (kind, payload) = frame(peer).await;
            if kind == 8 {
                return (said, u32::from_be_bytes(payload.try_into().unwrap()));
            }
        }
    }

    #[tokio::test]
    async fn clients_are_told_their_limits() {
        let (near, mut far) = duplex(1 << 16);
        let serves = async {
            let handshake = settings().server.handshake::<_, Bytes>(near);
            handshake.await.unwrap().accept().await.map(drop)
        };
        let listens = async {
            far.write_all(PREFACE).await.unwrap();
            said(&mut far).await
        };
        let (said, window) = tokio::select! {
            said = listens => said,
            _ = serves => panic!("nobody ended the connection"),
        };
        let expected = [
            (1, 4096),
            (3, 77),
            (4, 70_000),
            (5, 16_384),
            (6, 5320),
            (8, 1),
        ];
        assert_eq!(said, expected);
        assert_eq!(window, 200_000 - 65_535);
    }

    #[tokio::test]
    async fn upstreams_are_told_their_limits() {
        let (near, mut far) = duplex(1 << 16);
        let calls = async {
            let handshake = settings().client.handshake::<_, Bytes>(near);
            let (_client, connection) = handshake.await.unwrap();
            connection.await.unwrap();
        };
        let listens = async {
            let mut preface = [0; 24];
            far.read_exact(&mut preface).await.unwrap();
            assert_eq!(&preface, PREFACE);
            said(&mut far).await
        };
        let (said, window) = tokio::select! {
            said = listens => said,
            () = calls => panic!("nobody ended the connection"),
        };
        let expected = [
            (1, 4096),
            (2, 0),
            (3, 0),
            (4, 70_000),
            (5, 16_384),
            (6, 5320),
        ];
        assert_eq!(said, expected);
        assert_eq!(window, 1024 * 70_000 - 65_535);
    }
}
