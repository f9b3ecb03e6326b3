//! A directory of YAML files, each with its last good state.
//!
//! A file that cannot be used as it is now never takes back what it said before: it may be half
//! written, and dropping a policy is not a safe way to fail. To take resources back, remove them
//! from the file, or the file from the directory.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use ringmain_config::problem::Problem;
use xxhash_rust::xxh3::xxh3_64;

use super::{
    FileReport, FileState, Reading,
    unfinished::Unfinished,
    walk::{FILES_MAX, Found, walk},
};
use crate::{
    is_error,
    resource::{self, Memo, Resource, TEXT_BYTES_MAX, too_large},
};

/// The files of a directory.
#[derive(Debug)]
pub struct Files {
    root: PathBuf,
    files: BTreeMap<PathBuf, Known>,
    problems: Vec<Problem>,
    took: Took,
}

/// A file as it was last read.
#[derive(Debug)]
struct Known {
    /// Of the content, or of why there was none.
    digest: u64,
    state: FileState,
    /// In force.
    resources: Vec<Arc<Resource>>,
    problems: Vec<Problem>,
    /// Of the content that was read last.
    memo: Memo,
}

/// How long reading took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Took {
    /// Listing the directory, reading files, finding out whether they changed.
    pub(crate) read: Duration,
    /// Making resources of those that changed.
    pub(crate) parse: Duration,
}

impl Files {
    /// Reads `root`: a directory with those below it, or a single file.
    ///
    /// # Errors
    /// When it cannot be listed. What is wrong with a file is in [`Self::reading`].
    pub fn open(root: &Path) -> Result<Self, Problem> {
        if let Err(error) = fs::metadata(root) {
            return Err(unreadable(root, &error)
                .hint("name the directory of your resources, or a file of them"));
        }
        let mut files = Self {
            root: root.to_owned(),
            files: BTreeMap::new(),
            problems: Vec::new(),
            took: Took::default(),
        };
        files.read(&Unfinished::default());
        Ok(files)
    }

    /// The directory, as it was named.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What it says now.
    pub fn reading(&self) -> Reading {
        let resources = self.files.values().flat_map(|file| &file.resources);
        let reports = self.files.iter().map(|(path, file)| FileReport {
            file: path.display().to_string(),
            state: file.state,
            resources: file.resources.len(),
            problems: file.problems.clone(),
        });
        Reading {
            resources: resources.cloned().collect(),
            files: reports.collect(),
            problems: self.problems.clone(),
            timing: None,
        }
    }

    /// Reads the directory again, but not what is being written; whether it says anything else than
    /// before.
    pub(super) fn read(&mut self, unfinished: &Unfinished) -> bool {
        let began = Instant::now();
        self.took = Took::default();
        let changed = self.look(unfinished);
        self.took.read = began.elapsed().saturating_sub(self.took.parse);
        changed
    }

    /// How long the last reading took.
    pub(super) fn took(&self) -> Took {
        self.took
    }

    fn look(&mut self, unfinished: &Unfinished) -> bool {
        // Away, it counts as a directory: its files are then unknown, not gone. One look only,
        // since it may go away between two.
        let is_single = fs::metadata(&self.root).is_ok_and(|found| !found.is_dir());
        let mut found = if is_single {
            let mut found = Found::default();
            found.files.insert(self.root.clone());
            found
        } else {
            walk(&self.root)
        };
        let mut changed = false;
        let unknown = std::mem::take(&mut found.unknown);
        for path in &found.files {
            changed |= self.read_file(path, unfinished);
        }
        let gone = |path: &PathBuf| {
            let known = found.files.contains(path) || found.too_many;
            !known && !unknown.iter().any(|(below, _)| path.starts_with(below))
        };
        let before = self.files.len();
        self.files.retain(|path, _| !gone(path));
        changed |= self.files.len() != before;

        let mut problems: Vec<Problem> = unknown
            .iter()
            .map(|(path, error)| {
                let problem = unreadable(path, error);
                match self.files.keys().any(|file| file.starts_with(path)) {
                    true => problem.hint("what its files said before stays in force"),
                    false => problem,
                }
            })
            .collect();
        if found.too_many {
            let path = self.root.display().to_string();
            let message = format!("more than {FILES_MAX} YAML files; the rest is not read");
            problems.push(Problem::error(path, message));
        }
        changed |= problems != self.problems;
        self.problems = problems;
        changed
    }

    fn read_file(&mut self, path: &Path, unfinished: &Unfinished) -> bool {
        let content = read_text(path);
        // Only now, since somebody may have begun to write meanwhile.
        if unfinished.has(path) {
            return false;
        }
        let digest = match &content {
            Ok(text) => xxh3_64(text.as_bytes()),
            Err(Unread::Gone) => return false,
            Err(Unread::Problem(problem)) => xxh3_64(problem.to_string().as_bytes()),
        };
        let known = self.files.get_mut(path);
        if known.as_ref().is_some_and(|known| known.digest == digest) {
            return false;
        }
        let began = Instant::now();
        let none = Memo::default();
        let memo = known.as_ref().map_or(&none, |known| &known.memo);
        let (resources, problems, memo) = match content {
            Ok(text) => {
                let name = path.display().to_string();
                let (loaded, memo) = resource::parse_again(&name, &text, memo);
                (loaded.resources, loaded.problems, memo)
            }
            Err(Unread::Gone) => return false,
            Err(Unread::Problem(problem)) => (Vec::new(), vec![*problem], none),
        };
        match known {
            Some(known) => {
                known.replace(path, digest, resources, problems);
                known.memo = memo;
            }
            None => {
                let mut known = Known::first(digest, resources, problems);
                known.memo = memo;
                self.files.insert(path.to_owned(), known);
            }
        }
        self.took.parse += began.elapsed();
        true
    }
}

impl Known {
    fn first(digest: u64, resources: Vec<Arc<Resource>>, problems: Vec<Problem>) -> Self {
        let refused = problems.iter().any(is_error);
        Self {
            digest,
            state: if refused {
                FileState::Refused
            } else {
                FileState::InForce
            },
            resources: if refused { Vec::new() } else { resources },
            problems,
            memo: Memo::default(),
        }
    }

    fn replace(
        &mut self,
        path: &Path,
        digest: u64,
        resources: Vec<Arc<Resource>>,
        mut problems: Vec<Problem>,
    ) {
        if resources.is_empty() && problems.is_empty() && !self.resources.is_empty() {
            problems.push(emptied(path));
        }
        self.digest = digest;
        if !problems.iter().any(is_error) {
            self.state = FileState::InForce;
            self.resources = resources;
        } else if self.resources.is_empty() {
            self.state = FileState::Refused;
        } else {
            self.state = FileState::LastGood;
        }
        self.problems = problems;
    }
}

/// Why there is no text.
enum Unread {
    /// Removed between listing and reading.
    Gone,
    Problem(Box<Problem>),
}

fn read_text(path: &Path) -> Result<String, Unread> {
    let refused = |problem: Problem| Unread::Problem(Box::new(problem));
    let mut bytes = Vec::new();
    let bytes_max = TEXT_BYTES_MAX as u64 + 1;
    // To open a pipe would wait for its writer, and with it for every change of other files.
    let read = fs::metadata(path).and_then(|found| {
        if !found.is_file() {
            let kind = io::ErrorKind::InvalidInput;
            return Err(io::Error::new(kind, "it is not a regular file"));
        }
        let file = File::open(path)?;
        // At once; it may grow or shrink meanwhile.
        let expected = usize::try_from(found.len().min(bytes_max)).unwrap_or(0);
        bytes.reserve_exact(expected + 1);
        file.take(bytes_max).read_to_end(&mut bytes)
    });
    match read {
        // A link whose target is missing is not a removal: somebody is in the middle of something.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {
            return Err(Unread::Gone);
        }
        Err(error) => return Err(refused(unreadable(path, &error))),
        Ok(_) if bytes.len() > TEXT_BYTES_MAX => {
            return Err(refused(too_large(&path.display().to_string())));
        }
        Ok(_) => {}
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let message = format!("not UTF-8 text: the byte at offset {valid} is no character");
        refused(Problem {
            file: Some(path.display().to_string()),
            ..Problem::error("file", message)
        })
    })
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    Problem {
        file: Some(path.display().to_string()),
        ..Problem::error("file", format!("cannot be read: {error}"))
    }
}

/// Truncating is how many programs begin to write.
fn emptied(path: &Path) -> Problem {
    let problem = Problem {
        file: Some(path.display().to_string()),
        ..Problem::error(
            "file",
            "it is empty now; what it said before stays in force",
        )
    };
    problem.hint("remove the file to take its resources back")
}
