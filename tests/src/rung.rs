//! The two kinds of I/O that every scenario runs under.

use std::{io::Write as _, process::Command, sync::OnceLock};

use crate::binary;

/// `workers.io` of the proxy under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Io {
    /// io_uring, with whatever flags the kernel has.
    Uring,
    /// epoll.
    Epoll,
}

impl Io {
    /// As in the tuning file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uring => "uring",
            Self::Epoll => "epoll",
        }
    }
}

/// Whether this machine lets a process use io_uring; many containers do not. Where `CI` is set it
/// must.
pub fn is_usable() -> bool {
    static USABLE: OnceLock<bool> = OnceLock::new();
    *USABLE.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ringmain.toml");
        // The port is taken away from the proxy, which then stops; the ring comes before.
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let admin = taken.local_addr().unwrap();
        let tuning = format!(
            "[workers]\ncount = 1\nio = \"uring\"\n[control]\nsocket = \"\"\nsnapshot = \"\"\n\
             [admin]\nlisten = \"{admin}\"\n[log]\naccess = \"off\"\n"
        );
        std::fs::write(&file, tuning).unwrap();
        let output = Command::new(binary::ringmain())
            .args(["proxy", "--config"])
            .arg(&file)
            .output()
            .unwrap();
        let refused = String::from_utf8_lossy(&output.stderr).contains("no way to do I/O");
        assert!(
            !refused || std::env::var_os("CI").is_none(),
            "io_uring is refused here, and CI is set"
        );
        if refused {
            // Not through the macro, whose output a test that passes does not show.
            let notice = b"SKIPPED: this machine refuses io_uring; only epoll is tested\n";
            drop(std::io::stderr().write_all(notice));
        }
        !refused
    })
}
