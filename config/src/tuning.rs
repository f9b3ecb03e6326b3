//! `ringmain.toml`: how one process runs. Mesh policy is not in it.
