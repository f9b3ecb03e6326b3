//! A small mesh to ask about: a gateway, two versions of `reviews`, and `ratings` with nobody
//! behind.

use tempfile::TempDir;

/// Its files, in a directory that is removed when dropped.
pub(crate) fn write() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(
        directory.path().join("mesh.yaml"),
        include_str!("mesh.yaml"),
    )
    .unwrap();
    let workloads = include_str!("workloads.yaml");
    std::fs::write(directory.path().join("workloads.yaml"), workloads).unwrap();
    directory
}
