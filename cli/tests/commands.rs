//! The built command as its users meet it: output, exit codes, errors.

use std::{
    io::Read,
    process::{Command, Output, Stdio},
};

fn ringmain(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringmain"));
    command
        .args(arguments)
        .env_remove("RINGMAIN_LOG")
        .env_remove("RINGMAIN_SOCKET")
        .stdin(Stdio::null());
    command
}

/// Exit code, standard output and standard error.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = ringmain(arguments).output().unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

const COMMANDS: [&str; 4] = ["run", "get", "profile", "completion"];

#[test]
fn usage_errors_exit_with_2() {
    for arguments in [
        &[][..],
        &["nonsense"],
        &["run"],
        &["get"],
        &["get", "nonsense"],
        &["get", "routes", "--admin", "nowhere"],
        &["profile", "show", "nonsense"],
        &["completion", "nonsense"],
    ] {
        let (code, out, error) = run(arguments);
        assert_eq!(code, 2, "{arguments:?}: {error}");
        assert_eq!(out, "", "{arguments:?}");
        assert!(!error.is_empty(), "{arguments:?}");
    }
}

#[test]
fn every_command_has_help_with_an_example() {
    for command in COMMANDS {
        let (code, out, error) = run(&[command, "--help"]);
        assert_eq!((code, error.as_str()), (0, ""), "{command}");
        assert!(out.contains("Example"), "{command}: {out}");
        assert!(
            out.contains(&format!("ringmain {command}")),
            "{command}: {out}"
        );
    }
}

#[test]
fn help_names_every_command() {
    let (code, out, _) = run(&["--help"]);
    assert_eq!(code, 0);
    for command in COMMANDS {
        let listed = out
            .lines()
            .any(|line| line.trim().starts_with(&format!("{command} ")));
        assert!(listed, "{command}: {out}");
    }
}
