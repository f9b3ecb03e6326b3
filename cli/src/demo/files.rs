//! A copy of `examples/bookinfo` for one run.

use std::{
    fs, io,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use thiserror::Error;

use super::embedded::{FILES, MORE, ROUTES};

/// What the files say where a run has its own.
const DIRECTORY: &str = "/tmp/ringmain-bookinfo";
const ADDRESSES: &str = "127.10.";
const GATEWAY_PORT: &str = "number: 8080";
const ACCESS_LOG: &str = "access = \"/dev/stdout\"";

/// What one run has of its own, so that two of them do not meet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// Where sockets, snapshots and the files themselves are.
    pub(super) directory: &'a Path,
    /// Second number of every address: 127.BLOCK.0.0/16 is the run's.
    pub(super) block: u8,
    /// Where the gateway listens.
    pub(super) gateway_port: u16,
    /// Proxies write a line for each request.
    pub(super) access_log: bool,
    /// All workloads take part, and rules to try lie ready.
    pub(super) is_manual: bool,
}

/// Why the files cannot be written.
#[derive(Debug, Error)]
pub(super) enum FilesError {
    /// The path would have to be quoted in the files, and is too unusual for it.
    #[error(
        "the directory {0} has quotes, backslashes or no UTF-8 in its path; set TMPDIR to another"
    )]
    Path(String),
    /// The file system refused.
    #[error("cannot write {0}: {1}")]
    Write(String, io::Error),
}

/// Writes every file below the place's directory.
pub(super) fn write(place: &Place<'_>) -> Result<(), FilesError> {
    let mut files = FILES.to_vec();
    if place.is_manual {
        files.extend(MORE);
        files.extend(ROUTES);
    }
    for (path, text) in files {
        let target = place.directory.join(taking_part(path));
        let refused = |error| FilesError::Write(target.display().to_string(), error);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(refused)?;
        }
        fs::write(&target, place.fit(text)?).map_err(refused)?;
    }
    Ok(())
}

/// Where a file stands in a run: what there is `more` of is among the rest.
fn taking_part(path: &str) -> PathBuf {
    match path.strip_prefix("more/") {
        Some(tuning) if tuning.starts_with("proxies/") => tuning.into(),
        Some(resources) => Path::new("mesh").join(resources),
        None => path.into(),
    }
}

/// Replaces the rule for reviews by that of `shift/`. The control plane sees the old file or the
/// new one, never a half of it.
pub(super) fn shift(directory: &Path, file: &str) -> Result<(), FilesError> {
    let refused = |error| FilesError::Write("mesh/reviews.yaml".to_owned(), error);
    let fresh = directory.join("reviews.yaml.new");
    fs::copy(directory.join("shift").join(file), &fresh).map_err(refused)?;
    fs::rename(&fresh, directory.join("mesh/reviews.yaml")).map_err(refused)
}

impl Place<'_> {
    /// `text` of a file with this place's addresses, port and directory.
    fn fit(&self, text: &str) -> Result<String, FilesError> {
        let directory = self.directory.to_str().filter(|path| {
            let plain = |letter: char| !letter.is_control() && letter != '"' && letter != '\\';
            path.chars().all(plain)
        });
        let unusable = || FilesError::Path(self.directory.display().to_string());
        let directory = directory.ok_or_else(unusable)?;
        let addresses = format!("127.{}.", self.block);
        let port = format!("number: {}", self.gateway_port);
        let mut fitted = text
            .replace(ADDRESSES, &addresses)
            .replace(GATEWAY_PORT, &port);
        if !self.access_log {
            fitted = fitted.replace(ACCESS_LOG, "access = \"off\"");
        }
        // Last: what it puts in is not to be replaced again.
        Ok(fitted.replace(DIRECTORY, directory))
    }

    /// Address number `host` of the workloads' and proxies' own.
    pub(super) fn workload(&self, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.block, 0, host)
    }

    /// Address number `host` of those at which applications find their proxies.
    pub(super) fn outbound(&self, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.block, 1, host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits_a_place() {
        let place = Place {
            directory: Path::new("/tmp/127.10.demo"),
            block: 11,
            gateway_port: 18080,
            access_log: false,
            is_manual: false,
        };
        for (text, expected) in [
            ("address: 127.10.0.3", "address: 127.11.0.3"),
            ("number: 8080", "number: 18080"),
            ("number: 9080", "number: 9080"),
            (
                "socket = \"/tmp/ringmain-bookinfo/control.sock\"",
                "socket = \"/tmp/127.10.demo/control.sock\"",
            ),
            ("access = \"/dev/stdout\"", "access = \"off\""),
        ] {
            assert_eq!(place.fit(text).unwrap(), expected);
        }
        assert_eq!(place.workload(3), Ipv4Addr::new(127, 11, 0, 3));
        assert_eq!(place.outbound(3), Ipv4Addr::new(127, 11, 1, 3));
        let directory = Path::new("/tmp/\"");
        assert!(Place { directory, ..place }.fit("").is_err());
    }

    /// What `fit` looks for is really there: the port and the log once, the rest everywhere.
    #[test]
    fn the_files_say_what_is_replaced() {
        let all = || FILES.iter().chain(&MORE);
        let holding = |part: &str| all().filter(|(_, text)| text.contains(part)).count();
        assert_eq!(holding(GATEWAY_PORT), 1);
        assert_eq!(holding(ACCESS_LOG), 7 + 6);
        assert_eq!(holding(DIRECTORY), 7 + 6);
        assert_eq!(holding(ADDRESSES), 7 + 3 + 6 + 3);
    }

    #[test]
    fn shifts_replace_the_rule() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place {
            directory: directory.path(),
            block: 10,
            gateway_port: 8080,
            access_log: true,
            is_manual: false,
        };
        write(&place).unwrap();
        let rule = || fs::read_to_string(directory.path().join("mesh/reviews.yaml")).unwrap();
        assert!(!rule().contains("subset: v3"));
        shift(directory.path(), "reviews-90-10.yaml").unwrap();
        assert!(rule().contains("weight: 10"));
        assert_eq!(
            fs::read_dir(directory.path().join("mesh")).unwrap().count(),
            10
        );
    }

    #[test]
    fn what_there_is_more_of_is_among_the_rest() {
        for (path, target) in [
            ("mesh/reviews.yaml", "mesh/reviews.yaml"),
            ("more/databases.yaml", "mesh/databases.yaml"),
            ("more/proxies/details-v2.toml", "proxies/details-v2.toml"),
        ] {
            assert_eq!(taking_part(path), Path::new(target));
        }
        let directory = tempfile::tempdir().unwrap();
        let place = Place {
            directory: directory.path(),
            block: 10,
            gateway_port: 8080,
            access_log: true,
            is_manual: true,
        };
        write(&place).unwrap();
        let files = FILES.len() + MORE.len() + ROUTES.len();
        assert_eq!(
            count(directory.path()),
            files,
            "none in the place of another"
        );
    }

    fn count(directory: &Path) -> usize {
        let entries = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let counts = entries.map(|path| if path.is_dir() { count(&path) } else { 1 });
        counts.sum()
    }
}
