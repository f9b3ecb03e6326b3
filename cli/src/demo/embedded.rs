//! The files of `examples/bookinfo`, as part of the program, by their path in there.

macro_rules! embed {
    ($path:literal) => {
        (
            $path,
            include_str!(concat!("../../../examples/bookinfo/", $path)),
        )
    };
}

/// What every demo begins with, and what the one with shifts does to it.
pub(super) const FILES: [(&str, &str); 19] = [
    embed!("mesh/destination-rules.yaml"),
    embed!("mesh/details.yaml"),
    embed!("mesh/gateway.yaml"),
    embed!("mesh/productpage.yaml"),
    embed!("mesh/ratings.yaml"),
    embed!("mesh/reviews.yaml"),
    embed!("mesh/services.yaml"),
    embed!("mesh/sidecars.yaml"),
    embed!("mesh/versions-of-reviews.yaml"),
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

/// Workloads that only some of [`ROUTES`] lead to.
pub(super) const MORE: [(&str, &str); 9] = [
    embed!("more/books.yaml"),
    embed!("more/databases.yaml"),
    embed!("more/more-versions.yaml"),
    embed!("more/proxies/details-v2.toml"),
    embed!("more/proxies/mongodb-v1.toml"),
    embed!("more/proxies/mysqldb-v1.toml"),
    embed!("more/proxies/ratings-v2-mysql-vm.toml"),
    embed!("more/proxies/ratings-v2-mysql.toml"),
    embed!("more/proxies/ratings-v2.toml"),
];

/// Rules to try, a folder for each.
pub(super) const ROUTES: [(&str, &str); 23] = [
    embed!("routes/books-at-another-port/books.yaml"),
    embed!("routes/details-aborted/details.yaml"),
    embed!("routes/details-v2/details.yaml"),
    embed!("routes/everything-v1/details.yaml"),
    embed!("routes/everything-v1/ratings.yaml"),
    embed!("routes/everything-v1/reviews.yaml"),
    embed!("routes/ratings-aborted-for-jason/ratings.yaml"),
    embed!("routes/ratings-delayed-for-jason/ratings.yaml"),
    embed!("routes/ratings-of-a-database/ratings.yaml"),
    embed!("routes/ratings-of-a-database/reviews.yaml"),
    embed!("routes/ratings-of-mysql-elsewhere/ratings.yaml"),
    embed!("routes/ratings-of-mysql-elsewhere/reviews.yaml"),
    embed!("routes/ratings-of-mysql/ratings.yaml"),
    embed!("routes/ratings-of-mysql/reviews.yaml"),
    embed!("routes/reviews-at-random/reviews.yaml"),
    embed!("routes/reviews-at-random/versions-of-reviews.yaml"),
    embed!("routes/reviews-v1-50-v3-50/reviews.yaml"),
    embed!("routes/reviews-v1-80-v2-20/reviews.yaml"),
    embed!("routes/reviews-v1-90-v2-10/reviews.yaml"),
    embed!("routes/reviews-v2-50-v3-50/reviews.yaml"),
    embed!("routes/reviews-v2-for-jason-else-v3/reviews.yaml"),
    embed!("routes/reviews-v2-for-jason/reviews.yaml"),
    embed!("routes/reviews-v3/reviews.yaml"),
];

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        fs,
        path::{Path, PathBuf},
    };

    use super::*;

    fn add_files(folder: &Path, found: &mut BTreeSet<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                add_files(&path, found);
            } else {
                found.insert(path);
            }
        }
    }

    #[test]
    fn every_file_is_embedded() {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/bookinfo");
        let mut found = BTreeSet::new();
        add_files(&examples, &mut found);
        found.remove(&examples.join("README.md"));
        let all = FILES.iter().chain(&MORE).chain(&ROUTES);
        let embedded: BTreeSet<_> = all.map(|(path, _)| examples.join(path)).collect();
        assert_eq!(embedded, found);
    }

    /// A rule takes the place of a file that is there: going back is copying others over it.
    #[test]
    fn rules_replace_files() {
        let of_mesh = |name: &str| {
            let mut files = FILES.iter().chain(&MORE).map(|(path, _)| *path);
            files.any(|path| path == format!("mesh/{name}") || path == format!("more/{name}"))
        };
        for (path, _) in ROUTES {
            let (_, name) = path.rsplit_once('/').unwrap();
            assert!(of_mesh(name), "{path}");
        }
    }
}
