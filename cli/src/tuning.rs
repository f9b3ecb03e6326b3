//! Reads `ringmain.toml` and fills in what only this host knows.

use std::path::Path;

use ringmain_config::tuning::Tuning;

use crate::fault::Fault;

/// Looked for when the command line names no file.
pub(crate) const DEFAULT_FILE: &str = "/etc/ringmain/ringmain.toml";

/// The tuning of `file`; without one that of [`DEFAULT_FILE`] if it is there, else the defaults.
pub(crate) fn load(file: Option<&Path>) -> Result<Tuning, Fault> {
    let default = Path::new(DEFAULT_FILE);
    let file = match file {
        None if default.exists() => Some(default),
        file => file,
    };
    let mut tuning = match file {
        Some(file) => parse(file)?,
        None => Tuning::default(),
    };
    if tuning.workload.name.is_empty() {
        tuning.workload.name = host_name();
    }
    Ok(tuning)
}

fn parse(file: &Path) -> Result<Tuning, Fault> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        Fault::with(
            format!("cannot read the tuning file {}: {error}", file.display()),
            "`ringmain profile show default > ringmain.toml` writes one with every key",
        )
    })?;
    Tuning::parse(&text, &file.display().to_string()).map_err(Fault::Problems)
}

/// The host's name in the letters that a workload's name may have.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    workload_name(name.trim())
}

fn workload_name(host: &str) -> String {
    let name: String = host
        .chars()
        .take(253)
        .map(|character| match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '.' | '_' => character,
            _ => '-',
        })
        .collect();
    if name.is_empty() {
        "localhost".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::workload_name;

    #[test]
    fn host_names_become_workload_names() {
        for (host, expected) in [
            ("web-7.example.org", "web-7.example.org"),
            ("a b/ü", "a-b--"),
            ("", "localhost"),
        ] {
            assert_eq!(workload_name(host), expected, "{host}");
        }
    }
}
