//! Instructions of each case, counted by valgrind's callgrind: the same whatever else the machine
//! does. `cargo bench -p ringmain-core --bench instructions [-- PART-OF-A-NAME]`
//!
//! Each case runs in a process of its own, twice, with two numbers of turns. The difference is what
//! the turns cost; setting up and ending cancel out.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot be set up has nothing to say"
)]

mod cases;
#[path = "../tests/document/mod.rs"]
mod document;

use std::{env, fs, process::Command};

use cases::Case;

/// Comes before the name of a case and its number of turns.
const RUN: &str = "--run-case";

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [flag, name, turns] = arguments.as_slice()
        && flag == RUN
    {
        let case = cases::ALL.iter().find(|case| case.name == name).unwrap();
        return (case.make)()(turns.parse().unwrap());
    }
    let filter = arguments.iter().find(|text| !text.starts_with('-'));
    for case in cases::ALL {
        if filter.is_none_or(|part| case.name.contains(part.as_str())) {
            println!("{:<44} {:>12.1}", case.name, per_turn(case));
        }
    }
}

fn per_turn(case: &Case) -> f64 {
    let few = count(case, case.turns);
    let many = count(case, case.turns * 3);
    (many as f64 - few as f64) / (case.turns * 2) as f64
}

/// Instructions of a process that makes so many turns.
fn count(case: &Case, turns: u64) -> u64 {
    let output = env::temp_dir().join(format!("ringmain-callgrind-{}", std::process::id()));
    let mut option = std::ffi::OsString::from("--callgrind-out-file=");
    option.push(&output);
    let ended = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet"])
        .arg(option)
        .arg(env::current_exe().unwrap())
        .args([RUN, case.name, &turns.to_string()])
        .status()
        .expect("valgrind is installed: bench/setup");
    assert!(ended.success(), "{}: {ended}", case.name);
    let text = fs::read_to_string(&output).unwrap();
    fs::remove_file(&output).unwrap();
    let totals = text.lines().find_map(|line| line.strip_prefix("totals: "));
    totals.unwrap().trim().parse().unwrap()
}
