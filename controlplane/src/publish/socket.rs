//! The control plane's Unix socket: bound once, never taken from a control plane that lives.
//!
//! A lock beside the socket decides between two control planes that start at the same time; a
//! connection attempt decides about a socket that somebody left behind. Every refusal says what was
//! tried, why it failed and what to do.

use std::{
    fs::{self, File, Permissions, TryLockError},
    io::{self, ErrorKind},
    os::unix::fs::{FileTypeExt, PermissionsExt, chown},
    path::{Path, PathBuf},
};

use thiserror::Error;
use tokio::net::{UnixListener, UnixStream};

/// Why the socket cannot be listened on.
#[derive(Debug, Error)]
pub enum BindError {
    /// The directory does not exist.
    #[error(
        "cannot listen on {}: its directory does not exist; create it (`install -d -m 0750 {}`) \
         or name another path with --socket",
        .0.display(), directory(.0).display()
    )]
    DirectoryMissing(PathBuf),
    /// The directory may not be written to.
    #[error(
        "cannot listen on {}: the directory {} is not writable for this user; change its owner or \
         name another path with --socket",
        .0.display(), directory(.0).display()
    )]
    DirectoryUnwritable(PathBuf),
    /// Another control plane serves it.
    #[error(
        "cannot listen on {}: another control plane is serving it; stop that one or name another \
         path with --socket",
        .0.display()
    )]
    InUse(PathBuf),
    /// Something that is no socket has the name.
    #[error(
        "cannot listen on {}: a file that is no socket is there; remove it or name another path \
         with --socket",
        .0.display()
    )]
    NoSocket(PathBuf),
    /// `sun_path` is 108 bytes.
    #[error(
        "cannot listen on {}: the path is longer than the 107 bytes that a Unix socket's may \
         have; name a shorter one with --socket",
        .0.display()
    )]
    TooLong(PathBuf),
    /// The group may not be given the socket.
    #[error(
        "cannot give {} to group {group}: {source}; run the control plane as a member of that \
         group",
        path.display()
    )]
    Group {
        /// The socket.
        path: PathBuf,
        /// Numeric id.
        group: u32,
        /// Why.
        source: io::Error,
    },
    /// Anything else.
    #[error("cannot listen on {}: {operation}: {source}", path.display())]
    Other {
        /// The socket.
        path: PathBuf,
        /// What was tried.
        operation: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// A bound socket. Dropping it removes the socket file, then releases the lock.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    /// Held as long as the socket is; the file stays, since removing it would let two processes
    /// each lock a file of that name.
    _lock: File,
}

impl Socket {
    /// Binds `path` with mode 0660. With a `group` the socket is given to it, so that its members
    /// reach the socket at all; who of them is served is decided by peer credentials.
    ///
    /// # Errors
    /// See [`BindError`].
    pub async fn bind(path: &Path, group: Option<u32>) -> Result<Self, BindError> {
        if path.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
            return Err(BindError::TooLong(path.to_owned()));
        }
        let lock = lock(path)?;
        remove_stale(path).await?;
        let listener = UnixListener::bind(path).map_err(|source| explain(path, "bind", source))?;
        let socket = Self {
            listener,
            path: path.to_owned(),
            _lock: lock,
        };
        fs::set_permissions(path, Permissions::from_mode(0o660))
            .map_err(|source| explain(path, "set its mode", source))?;
        if let Some(group) = group {
            chown(path, None, Some(group)).map_err(|source| BindError::Group {
                path: path.to_owned(),
                group,
                source,
            })?;
        }
        Ok(socket)
    }

    /// The next connection.
    ///
    /// # Errors
    /// Those of accept(2), for example no more file descriptors.
    pub async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }

    /// As it was bound.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(socket = %self.path.display(), %error, "cannot remove the socket");
        }
    }
}

fn lock(path: &Path) -> Result<File, BindError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = File::options()
        .create(true)
        .append(true)
        .open(PathBuf::from(name))
        .map_err(|source| explain(path, "open its lock file", source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(BindError::InUse(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(explain(path, "lock its lock file", source)),
    }
}

/// Removes a socket that nobody listens on any more.
async fn remove_stale(path: &Path) -> Result<(), BindError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(explain(path, "look at what is there", source)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(BindError::NoSocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path)
            .map_err(|source| explain(path, "remove the socket left there", source)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        // A full backlog is a sign of life too.
        Ok(_) => Err(BindError::InUse(path.to_owned())),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            Err(BindError::InUse(path.to_owned()))
        }
        Err(source) => Err(explain(path, "connect to the socket left there", source)),
    }
}

fn explain(path: &Path, operation: &'static str, source: io::Error) -> BindError {
    match source.kind() {
        ErrorKind::NotFound => BindError::DirectoryMissing(path.to_owned()),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            BindError::DirectoryUnwritable(path.to_owned())
        }
        ErrorKind::AddrInUse => BindError::InUse(path.to_owned()),
        _ => BindError::Other {
            path: path.to_owned(),
            operation,
            source,
        },
    }
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// `sun_path` of unix(7) less its final NUL.
const SOCKET_PATH_BYTES_MAX: usize = 107;

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use tempfile::tempdir;
    use tokio::net::UnixStream;

    use super::{BindError, Socket};

    #[tokio::test]
    async fn binds_with_a_mode_and_cleans_up() {
        let directory = tempdir().expect("a directory");
        let path = directory.path().join("control.sock");
        let socket = Socket::bind(&path, None).await.expect("bound");
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        UnixStream::connect(&path).await.expect("reachable");
        drop(socket);
        assert!(!path.exists());
        Socket::bind(&path, None).await.expect("bound once more");
    }

    #[tokio::test]
    async fn replaces_a_socket_that_was_left_behind() {
        let directory = tempdir().expect("a directory");
        let path = directory.path().join("control.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("bound"));
        assert!(path.exists());
        Socket::bind(&path, None).await.expect("bound");
    }

    #[tokio::test]
    async fn refuses_with_cause_and_remedy() {
        let directory = tempdir().expect("a directory");
        let in_directory = |name: &str| directory.path().join(name);

        let live = in_directory("live.sock");
        let _first = Socket::bind(&live, None).await.expect("bound");
        let foreign = in_directory("foreign.sock");
        let _foreign = std::os::unix::net::UnixListener::bind(&foreign).expect("bound");
        let file = in_directory("file");
        fs::write(&file, "precious").expect("written");

        for (path, expected) in [
            (live, "another control plane is serving it"),
            (foreign, "another control plane is serving it"),
            (file.clone(), "a file that is no socket is there"),
            (in_directory("absent/control.sock"), "install -d"),
            (in_directory(&"x".repeat(120)), "107 bytes"),
            ("/proc/control.sock".into(), "directory"),
        ] {
            let error = Socket::bind(&path, None).await.expect_err("refused");
            assert!(error.to_string().contains(expected), "{error}");
        }
        assert_eq!(fs::read_to_string(&file).expect("there"), "precious");
    }

    #[tokio::test]
    async fn a_live_socket_survives_the_refused_one() {
        let directory = tempdir().expect("a directory");
        let path = directory.path().join("control.sock");
        let _first = Socket::bind(&path, None).await.expect("bound");
        let refused = Socket::bind(&path, None).await;
        assert!(matches!(refused, Err(BindError::InUse(_))), "{refused:?}");
        UnixStream::connect(&path).await.expect("still reachable");
    }
}
