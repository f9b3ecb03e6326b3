//! Who may connect. The kernel says who the peer is (`SO_PEERCRED`); the peer is not asked.

use std::{fmt, io};

use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;

/// The process at the other end of a connection, as the kernel recorded it at connect(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Process id; absent when it lives in another PID namespace.
    pub pid: Option<i32>,
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
}

impl Peer {
    /// The process at the other end of `stream`.
    ///
    /// # Errors
    /// Those of getsockopt(2).
    pub fn of(stream: &UnixStream) -> io::Result<Self> {
        let credentials = stream.peer_cred()?;
        Ok(Self {
            pid: credentials.pid().filter(|pid| *pid != 0),
            uid: credentials.uid(),
            gid: credentials.gid(),
        })
    }

    /// This process, as a peer would see it.
    ///
    /// # Errors
    /// Those of socketpair(2) and getsockopt(2).
    pub fn own() -> io::Result<Self> {
        let (stream, _other) = UnixStream::pair()?;
        Self::of(&stream)
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(formatter, "pid {pid} (uid {}, gid {})", self.uid, self.gid),
            None => write!(formatter, "uid {}, gid {}", self.uid, self.gid),
        }
    }
}

/// Who is served beside root and the control plane's own user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// User ids.
    pub uids: Vec<u32>,
    /// Group ids, compared with the peer's effective group only: its supplementary groups are not
    /// part of its credentials. The socket is given to the first.
    pub gids: Vec<u32>,
}

impl Allowed {
    /// Whether `peer` is served by a control plane that runs as `own_uid`.
    ///
    /// # Errors
    /// The reason to tell the peer: cause and remedy.
    pub fn admits(&self, peer: Peer, own_uid: u32) -> Result<(), String> {
        let admitted = peer.uid == own_uid
            || peer.uid == 0
            || self.uids.contains(&peer.uid)
            || self.gids.contains(&peer.gid);
        if admitted {
            return Ok(());
        }
        Err(format!(
            "uid {} with gid {} is not allowed to use this control plane; run the proxy as uid \
             {own_uid}, or start the control plane with --allow-uid {} or --allow-gid {}",
            peer.uid, peer.gid, peer.uid, peer.gid
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::{Allowed, Peer};

    #[test]
    fn admits() {
        let allowed = Allowed {
            uids: vec![7],
            gids: vec![70],
        };
        for (uid, gid, expected) in [
            (1000, 1000, true),
            (0, 0, true),
            (7, 1, true),
            (8, 70, true),
            (8, 8, false),
            (70, 7, false),
        ] {
            let peer = Peer {
                pid: None,
                uid,
                gid,
            };
            let answer = allowed.admits(peer, 1000);
            assert_eq!(answer.is_ok(), expected, "{peer}: {answer:?}");
        }
    }

    #[tokio::test]
    async fn own_is_this_process() {
        let own = Peer::own().expect("a socket pair");
        assert_eq!(own.pid, i32::try_from(std::process::id()).ok());
    }
}
