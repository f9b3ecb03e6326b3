//! What is measured, one file each.

use anyhow::Result;

use crate::{bench::Bench, results::Report};

pub mod idle;
pub mod instructions;
pub mod reload;
pub mod routes;

/// A scenario: one entry in this list and one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Scenario {
    /// CPU time of the proxy for a small request through a table of 1000 routes.
    Routes,
    /// Memory after start, and of connections that wait.
    Idle,
    /// Configuration changes five times a second under full load.
    Reload,
    /// Instructions outside the kernel per request, counted by valgrind.
    Instructions,
}

impl Scenario {
    /// Those of a plain run: what needs a quiet machine and little time.
    pub const DEFAULT: [Self; 3] = [Self::Routes, Self::Idle, Self::Reload];

    /// Measures it.
    ///
    /// # Errors
    /// When a program does not start or does not answer. A bad figure is no error.
    pub fn run(self, bench: &Bench) -> Result<Report> {
        match self {
            Self::Routes => routes::run(bench),
            Self::Idle => idle::run(bench),
            Self::Reload => reload::run(bench),
            Self::Instructions => instructions::run(bench),
        }
    }
}

/// Whether a figure is as low as it should be, in words.
fn verdict(value: Option<f64>, at_most: f64) -> &'static str {
    match value {
        Some(value) if value <= at_most => "reached",
        Some(_) => "missed",
        None => "not measured",
    }
}
