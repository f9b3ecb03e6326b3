//! Looks for input that breaks a target's promise: `ringmain-fuzz request --seconds 60`.

#![allow(clippy::print_stdout, reason = "it is a program for a terminal")]

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use ringmain_fuzz::{
    TARGETS, Target, corpus,
    mutate::{self, Found, Until},
};

/// Mutates the corpus of a target until its promise is broken or the time is over.
#[derive(Parser)]
struct Flags {
    /// Which one; without it they are listed.
    target: Option<String>,
    /// How long.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Another number makes other inputs; by default one that nobody chose.
    #[arg(long)]
    random: Option<u64>,
    /// Writes what made the target say something new to its corpus.
    #[arg(long)]
    keep: bool,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    let named = TARGETS
        .iter()
        .find(|target| Some(target.name) == flags.target.as_deref());
    let Some(target) = named else {
        for target in &TARGETS {
            println!("{:10} {}", target.name, target.promise);
        }
        return ExitCode::from(if flags.target.is_some() { 2 } else { 0 });
    };
    match search(target, &flags) {
        Ok(found) => report(target, &found),
        Err(error) => {
            println!("the corpus of {}: {error}", target.name);
            ExitCode::from(1)
        }
    }
}

fn search(target: &Target, flags: &Flags) -> std::io::Result<Found> {
    let random = flags.random.unwrap_or_else(|| fastrand::u64(..));
    println!("{}: --random {random}", target.name);
    // A panic is expected, and its input is what is wanted of it.
    std::panic::set_hook(Box::new(|_| {}));
    let until = Until::Passed(Duration::from_secs(flags.seconds));
    let found = mutate::run(target, corpus::all(target)?, random, until);
    if flags.keep {
        for (outcome, bytes) in &found.outcomes {
            corpus::keep(target.name, outcome, bytes)?;
        }
    }
    if let Some((bytes, _)) = &found.broken {
        let path = corpus::keep(target.name, "broken", bytes)?;
        println!("written to {}", path.display());
    }
    Ok(found)
}

fn report(target: &Target, found: &Found) -> ExitCode {
    println!(
        "{}: {} inputs, {} new outcomes",
        target.name,
        found.tried,
        found.outcomes.len()
    );
    for (outcome, bytes) in &found.outcomes {
        println!("  {outcome} ({} bytes)", bytes.len());
    }
    match &found.broken {
        None => ExitCode::SUCCESS,
        Some((bytes, said)) => {
            println!("BROKEN: {said}\n{}", bytes.escape_ascii());
            ExitCode::from(1)
        }
    }
}
