//! `examples/bookinfo` as part of the program, and its copy for one run.

use std::{fs, io, net::Ipv4Addr, path::Path};

use thiserror::Error;

macro_rules! embed {
    ($path:literal) => {
        (
            $path,
            include_str!(concat!("../../../examples/bookinfo/", $path)),
        )
    };
}

/// The configuration files of `examples/bookinfo` that the demo uses, by their path in there.
const FILES: [(&str, &str); 18] = [
    embed!("mesh/destination-rules.yaml"),
    embed!("mesh/details.yaml"),
    embed!("mesh/gateway.yaml"),
    embed!("mesh/productpage.yaml"),
    embed!("mesh/ratings.yaml"),
    embed!("mesh/reviews.yaml"),
    embed!("mesh/services.yaml"),
    embed!("mesh/sidecars.yaml"),
    embed!("mesh/workloads.yaml"),
    embed!("proxies/details-v1.toml"),
    embed!("proxies/gateway.toml"),
    embed!("proxies/productpage-v1.toml"),
    embed!("proxies/ratings-v1.toml"),
    embed!("proxies/reviews-v1.toml"),
    embed!("proxies/reviews-v2.toml"),
    embed!("proxies/reviews-v3.toml"),
    embed!("shift/reviews-50-50.yaml"),
    embed!("shift/reviews-90-10.yaml"),
];

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
    for (path, text) in FILES {
        let target = place.directory.join(path);
        let refused = |error| FilesError::Write(target.display().to_string(), error);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(refused)?;
        }
        fs::write(&target, place.fit(text)?).map_err(refused)?;
    }
    Ok(())
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
    use std::{collections::BTreeSet, path::PathBuf};

    use super::*;

    fn examples() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/bookinfo")
    }

    #[test]
    fn every_file_is_embedded() {
        let mut found = BTreeSet::new();
        for folder in ["mesh", "proxies", "shift"] {
            for entry in fs::read_dir(examples().join(folder)).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                found.insert(format!("{folder}/{name}"));
            }
        }
        let embedded: BTreeSet<_> = FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(embedded, found);
    }

    #[test]
    fn fits_a_place() {
        let place = Place {
            directory: Path::new("/tmp/127.10.demo"),
            block: 11,
            gateway_port: 18080,
            access_log: false,
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
        let holding = |part: &str| FILES.iter().filter(|(_, text)| text.contains(part)).count();
        assert_eq!(holding(GATEWAY_PORT), 1);
        assert_eq!(holding(ACCESS_LOG), 7);
        assert_eq!(holding(DIRECTORY), 7);
        assert_eq!(holding(ADDRESSES), 7 + 3);
    }

    #[test]
    fn shifts_replace_the_rule() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place {
            directory: directory.path(),
            block: 10,
            gateway_port: 8080,
            access_log: true,
        };
        write(&place).unwrap();
        let rule = || fs::read_to_string(directory.path().join("mesh/reviews.yaml")).unwrap();
        assert!(!rule().contains("subset: v3"));
        shift(directory.path(), "reviews-90-10.yaml").unwrap();
        assert!(rule().contains("weight: 10"));
        assert_eq!(
            fs::read_dir(directory.path().join("mesh")).unwrap().count(),
            9
        );
    }
}
