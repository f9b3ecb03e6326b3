//! The last Document that all workers used, on disk: with it a proxy starts and serves while the
//! control plane is down.
//!
//! One file: a line of JSON that says what it is, then the Document as JSON, indented for reading.
//! It is written beside its place, synced, and renamed over it, so that a reader sees the old or
//! the new one, whole. A file that is not exactly what was written is not used. The disk is touched
//! only by [`load`], before traffic, and on tokio's blocking threads.

#[cfg(test)]
mod tests;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use ringmain_config::{document::Document, node::Node};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::{sync::watch, task::JoinHandle};
use xxhash_rust::xxh3::xxh3_64;

use crate::{back_off::BackOff, control::Failed};

/// Files of another version are not used.
const VERSION: u32 = 1;
/// First field of the first line.
const FORMAT: &str = "ringmain last good document";
/// A longer file is not read: 64 MiB of updates and room for what earlier ones brought.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// A longer first line is none of ours.
const HEAD_BYTES_MAX: usize = 4096;
/// Wait after a write that failed; doubles to [`RETRY_MAX`]. A newer Document is written at once.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// See [`RETRY_FIRST`].
const RETRY_MAX: Duration = Duration::from_secs(300);

/// The first line of the file. Unknown fields are ignored.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    format: String,
    version: u32,
    /// XXH3 (64 bits, hexadecimal) of everything after the first line.
    checksum: String,
    /// Whose proxy it was written for.
    node: String,
    generation: u64,
    /// When, for the human who reads it.
    written: String,
}

/// Why there is no last good Document to start with.
#[derive(Debug, Error)]
pub enum LoadError {
    /// There is no such file: a first start.
    #[error("there is no last good configuration at {} yet", .0.display())]
    Absent(PathBuf),
    /// The file cannot be read.
    #[error("cannot read the last good configuration {}: {source}; check its owner and mode", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not what this program wrote.
    #[error("the last good configuration {} is not usable: {why}; it is ignored and will be replaced", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// The last good Document that was written at `path` for `node`. Blocks on the disk.
///
/// The versions of its parts are those of what was read: a program newer than the writer may know
/// fields that the writer dropped, and must be sent them.
///
/// # Errors
/// [`LoadError::Absent`] at a first start; the others when the file cannot be used, as one line.
pub fn load(path: &Path, node: &Node) -> Result<Document, LoadError> {
    let read_error = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => LoadError::Absent(path.to_owned()),
        _ => LoadError::Read {
            path: path.to_owned(),
            source,
        },
    };
    let file = File::open(path).map_err(read_error)?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(read_error)?;
    decode(&bytes, node).map_err(|why| LoadError::Unusable {
        path: path.to_owned(),
        why,
    })
}

fn decode(bytes: &[u8], node: &Node) -> Result<Document, String> {
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("it is longer than {FILE_BYTES_MAX} bytes"));
    }
    let head_area = &bytes[..bytes.len().min(HEAD_BYTES_MAX)];
    let end = head_area.iter().position(|&byte| byte == b'\n');
    let head = end.and_then(|end| serde_json::from_slice::<Head>(&bytes[..end]).ok());
    let (Some(end), Some(head)) = (end, head) else {
        return Err("its first line is not that of such a file".into());
    };
    if head.format != FORMAT {
        return Err(format!("its format is {:?}, not {FORMAT:?}", head.format));
    }
    if head.version != VERSION {
        let version = head.version;
        return Err(format!(
            "its version is {version}, this program's is {VERSION}"
        ));
    }
    if head.node != name_of(node) {
        let (theirs, ours) = (head.node, name_of(node));
        return Err(format!("it was written for {theirs}, this proxy is {ours}"));
    }
    let body = &bytes[end + 1..];
    if head.checksum != checksum(body) {
        return Err("its checksum does not match: it was cut short or changed".into());
    }
    let stored: Document =
        serde_json::from_slice(body).map_err(|error| format!("it is no Document: {error}"))?;
    let mut document = Document {
        generation: stored.generation,
        ..Document::default()
    };
    for (_, part) in stored.parts() {
        document.upsert(part);
    }
    Ok(document)
}

fn encode(document: &Document, node: &Node, now: SystemTime) -> io::Result<Vec<u8>> {
    let body = serde_json::to_vec_pretty(document)?;
    let head = Head {
        format: FORMAT.into(),
        version: VERSION,
        checksum: checksum(&body),
        node: name_of(node),
        generation: document.generation,
        written: humantime::format_rfc3339_seconds(now).to_string(),
    };
    let mut bytes = serde_json::to_vec(&head)?;
    bytes.push(b'\n');
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

fn checksum(body: &[u8]) -> String {
    format!("{:016x}", xxh3_64(body))
}

fn name_of(node: &Node) -> String {
    format!("{}/{}", node.namespace, node.name)
}

/// Replaces the file at `path`, in one step for whoever reads it. Blocks on the disk.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let why = format!("it would be longer than the {FILE_BYTES_MAX} bytes that are read back");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    // Left over from a write that was cut off; `create_new` follows no link that somebody laid.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&beside, path));
    if let Err(error) = written {
        // The half-written file is of no use; that it cannot be removed either is no news.
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    File::open(directory)?.sync_all()
}

/// What `/server_info` shows of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Where.
    pub path: PathBuf,
    /// Generation in the file as this process wrote it; absent: it wrote none yet.
    pub generation: Option<u64>,
    /// Writes that succeeded.
    pub writes: u64,
    /// Writes that failed.
    pub failures: u64,
    /// Why the last write failed; absent after one that succeeded.
    pub last_error: Option<Failed>,
}

/// Keeps the file up to date, in the background.
#[derive(Debug)]
pub struct LastGood {
    wanted: watch::Sender<Option<Arc<Document>>>,
    status: watch::Receiver<Status>,
    task: JoinHandle<()>,
}

impl LastGood {
    /// Starts on the current tokio runtime. Nothing is written before [`Self::save`].
    pub fn start(path: PathBuf, node: Node) -> Self {
        let (wanted, wanted_receiver) = watch::channel(None);
        let (status, status_receiver) = watch::channel(Status {
            path: path.clone(),
            generation: None,
            writes: 0,
            failures: 0,
            last_error: None,
        });
        let writer = Writer {
            path,
            node: Arc::new(node),
            wanted: wanted_receiver,
            status,
        };
        Self {
            wanted,
            status: status_receiver,
            task: tokio::spawn(writer.run()),
        }
    }

    /// All workers use `document`: it is to be written. Returns at once; of several that wait for
    /// the disk only the latest is written.
    pub fn save(&self, document: Arc<Document>) {
        self.wanted.send_replace(Some(document));
    }

    /// What to show of it.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Follows its status: for the admin endpoints, which live longer than a borrow.
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Writes what is still to be written, without waiting for the disk to get better, and ends.
    pub async fn finish(self) {
        let Self { wanted, task, .. } = self;
        drop(wanted);
        // It ends by itself once nobody can want more; it cannot panic.
        let _ = task.await;
    }
}

struct Writer {
    path: PathBuf,
    node: Arc<Node>,
    wanted: watch::Receiver<Option<Arc<Document>>>,
    status: watch::Sender<Status>,
}

impl Writer {
    async fn run(mut self) {
        let mut back_off = BackOff::new(RETRY_FIRST, RETRY_MAX);
        while self.wanted.changed().await.is_ok() {
            back_off.reset();
            loop {
                let document = self.wanted.borrow_and_update().clone();
                let Some(document) = document else { break };
                if self.write(document).await {
                    break;
                }
                let wait = tokio::time::sleep(back_off.wait(fastrand::u64(..)));
                tokio::select! {
                    () = wait => {}
                    changed = self.wanted.changed() => if changed.is_err() { return },
                }
            }
        }
    }

    /// Whether it succeeded.
    async fn write(&self, document: Arc<Document>) -> bool {
        let (path, node) = (self.path.clone(), self.node.clone());
        let generation = document.generation;
        let written = tokio::task::spawn_blocking(move || {
            let bytes = encode(&document, &node, SystemTime::now())?;
            write(&path, &bytes)
        });
        let written = written
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)));
        match written {
            Ok(()) => self.succeeded(generation),
            Err(error) => self.failed(&error),
        }
    }

    fn succeeded(&self, generation: u64) -> bool {
        self.status.send_modify(|status| {
            if status.last_error.take().is_some() {
                let path = self.path.display();
                tracing::info!("the last good configuration {path} is written again");
            }
            status.writes += 1;
            status.generation = Some(generation);
        });
        true
    }

    fn failed(&self, error: &io::Error) -> bool {
        let path = self.path.display();
        let message = format!(
            "cannot write the last good configuration {path}: {error}; {}; this proxy serves on, \
             but would start without its configuration while the control plane is down",
            hint(error)
        );
        self.status.send_modify(|status| {
            let news = status
                .last_error
                .as_ref()
                .is_none_or(|last| last.message != message);
            if news {
                tracing::warn!("{message}");
            }
            status.failures += 1;
            status.last_error = Some(Failed {
                at: SystemTime::now(),
                message,
            });
        });
        false
    }
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "create its directory",
        io::ErrorKind::PermissionDenied => "let this user write to its directory",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free space on its disk",
        io::ErrorKind::ReadOnlyFilesystem => "choose another place with `[control] snapshot`",
        _ => "check `[control] snapshot`",
    }
}
