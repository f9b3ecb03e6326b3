//! The secrets of a Document, for the supervisor: read from files, which are looked at again and
//! again, or from the Document itself.
//!
//! What cannot be read, or holds nothing that can be used, stays as it was before: a file may be
//! half written, and whoever renews certificates replaces them one after the other.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use ringmain_config::{
    document::{Document, Parts},
    secret::{InlineSecret, Secret, SecretFiles, SecretSource},
};
use rustls::RootCertStore;

use crate::tls::{
    contexts::Materials,
    material::{Material, Texts},
};

/// A PEM file is never longer: one MiB holds all authorities of the web five times.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The secrets of the Document in force.
#[derive(Default)]
pub struct Secrets {
    source: Parts<Secret>,
    held: HashMap<String, Held>,
    /// Authorities that the system trusts, once some cluster asks for them.
    roots: Option<Arc<RootCertStore>>,
}

/// One secret.
struct Held {
    secret: Arc<Secret>,
    /// The files' states when they were read.
    seen: Vec<Option<State>>,
    material: Option<Arc<Material>>,
    /// Why it could not be read the last time.
    problem: Option<String>,
}

/// A file as it was: another one, or another content, differs in some of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: Option<SystemTime>,
}

impl State {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: metadata.modified().ok(),
        })
    }
}

impl Secrets {
    /// Follows a Document: reads what is new in it, forgets what is gone.
    pub fn follow(&mut self, document: &Document) {
        if Arc::ptr_eq(&self.source, &document.secrets) {
            return;
        }
        self.source = Arc::clone(&document.secrets);
        let mut before = std::mem::take(&mut self.held);
        for (name, part) in self.source.iter() {
            let secret = &part.value;
            let held = before.remove(name);
            let held = match held {
                Some(held) if Arc::ptr_eq(&held.secret, secret) => held,
                held => {
                    let last = held.and_then(|held| held.material);
                    Held::read(Arc::clone(secret), last)
                }
            };
            self.held.insert(name.clone(), held);
        }
    }

    /// Looks at the files. True: something is another than before.
    pub fn look(&mut self) -> bool {
        let mut has_changed = false;
        for held in self.held.values_mut() {
            let SecretSource::Files(files) = &held.secret.source else {
                continue;
            };
            if states(files) == held.seen {
                continue;
            }
            let last = held.material.take();
            let read = Held::read(Arc::clone(&held.secret), last.clone());
            has_changed |= !is_same(last.as_ref(), read.material.as_ref());
            let is_news = read.problem != held.problem;
            *held = read;
            if let (true, Some(problem)) = (is_news, &held.problem) {
                tracing::error!("{problem}");
            }
        }
        has_changed
    }

    /// What can be used.
    pub fn materials(&self) -> Materials {
        let held = self.held.iter();
        held.filter_map(|(name, held)| Some((name.clone(), held.material.clone()?)))
            .collect()
    }

    /// What cannot be read, in words, by name.
    pub fn problems(&self) -> BTreeMap<&str, &str> {
        let held = self.held.iter();
        held.filter_map(|(name, held)| Some((name.as_str(), held.problem.as_deref()?)))
            .collect()
    }

    /// Authorities that the system trusts. Read once.
    pub fn roots(&mut self) -> Arc<RootCertStore> {
        let roots = self.roots.get_or_insert_with(|| Arc::new(system_roots()));
        Arc::clone(roots)
    }
}

fn is_same(before: Option<&Arc<Material>>, after: Option<&Arc<Material>>) -> bool {
    match (before, after) {
        (Some(before), Some(after)) => Arc::ptr_eq(before, after),
        (before, after) => before.is_none() && after.is_none(),
    }
}

impl Held {
    /// `last`: what it was before.
    fn read(secret: Arc<Secret>, last: Option<Arc<Material>>) -> Self {
        let (seen, read) = match &secret.source {
            // States first: what is written while it is read is read again.
            SecretSource::Files(files) => (states(files), read_files(files)),
            SecretSource::Inline(inline) => (Vec::new(), read_inline(inline)),
            SecretSource::Workload => {
                let reason = "this proxy has no identity: its control plane issues none";
                (Vec::new(), Err(reason.to_owned()))
            }
        };
        let (material, problem) = match read {
            Ok(material) => (Some(Arc::new(material)), None),
            Err(reason) => {
                let kept = if last.is_some() {
                    "; what it held before is still used"
                } else {
                    ""
                };
                let problem = format!("secret {:?}: {reason}{kept}", secret.name);
                (last, Some(problem))
            }
        };
        Self {
            secret,
            seen,
            material,
            problem,
        }
    }
}

fn paths(files: &SecretFiles) -> [Option<&PathBuf>; 4] {
    let SecretFiles {
        certificate,
        key,
        authorities,
        revoked,
    } = files;
    [certificate, key, authorities, revoked].map(Option::as_ref)
}

fn states(files: &SecretFiles) -> Vec<Option<State>> {
    let paths = paths(files).into_iter().flatten();
    paths.map(|path| State::of(path)).collect()
}

fn read_files(files: &SecretFiles) -> Result<Material, String> {
    let mut read = Vec::new();
    for path in paths(files) {
        read.push(match path {
            None => None,
            Some(path) => {
                let name = path.display().to_string();
                let text = read_file(path).map_err(|error| {
                    format!("{name} cannot be read: {error}; the proxy must be able to read it")
                })?;
                Some((name, text))
            }
        });
    }
    let text = |place: usize| {
        let (name, text) = read[place].as_ref()?;
        Some((name.as_str(), text.as_slice()))
    };
    Material::read(&Texts {
        certificate: text(0),
        key: text(1),
        authorities: text(2),
        revoked: text(3),
    })
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let bytes = fs::metadata(path)?.len();
    if bytes > FILE_BYTES_MAX {
        let message = format!("it has {bytes} bytes, more than {FILE_BYTES_MAX}");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    fs::read(path)
}

fn read_inline(inline: &InlineSecret) -> Result<Material, String> {
    Material::read(&Texts::of(inline))
}

fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!("authorities of the system: {error}");
    }
    let (added, ignored) = roots.add_parsable_certificates(found.certs);
    tracing::debug!(added, ignored, "authorities of the system");
    if added == 0 {
        tracing::warn!(
            "the system trusts no authority: TLS to upstreams that names none fails; install \
             ca-certificates"
        );
    }
    roots
}
