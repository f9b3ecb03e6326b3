//! A run from the command line to the summary.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::{
    arguments::Arguments,
    bench::Bench,
    document, machine,
    report::Report,
    results::{self, Times},
    scenario::Scenario,
};

/// Measures what was asked for, printing each table when it is complete and the verdicts at the
/// end. False when something happened that may not: a lost request, a program that did not start, a
/// budget exceeded. A figure that misses its mark is none of these.
///
/// # Errors
/// When nothing can be measured here, or results cannot be written.
pub fn run(arguments: Arguments, command: &str, print: &mut dyn FnMut(&str)) -> Result<bool> {
    let began = Instant::now();
    let bench = Bench::new(arguments)?;
    let machine = machine::describe(&bench, command);
    let chosen = match &*bench.arguments.scenarios {
        [] => Scenario::ALL.to_vec(),
        chosen => chosen.to_vec(),
    };
    ensure!(
        !(bench.arguments.check || bench.arguments.record)
            || chosen.contains(&Scenario::Instructions),
        "--check and --record are about the scenario `instructions`, which is not among those named"
    );
    let out = match &bench.arguments.out {
        Some(out) => Some(out.clone()),
        None if bench.is_smoke() => None,
        None => Some(results::directory(&machine::date(), |path| path.exists())),
    };
    // What would be found out at the end is found out before anything is measured.
    out.as_deref().map(results::try_directory).transpose()?;
    bench
        .arguments
        .document
        .as_deref()
        .map(document::look_at)
        .transpose()?;
    for missing in &bench.missing {
        bench.progress.suspend(|| print(&format!("{missing}\n")));
    }
    if cfg!(debug_assertions) && !bench.is_smoke() {
        let warning = "This program was not built for release: its figures say little.\n\n";
        bench.progress.suspend(|| print(warning));
    }
    let mut reports = Vec::new();
    let mut times = Times {
        total: Duration::ZERO,
        scenarios: Vec::new(),
    };
    for scenario in chosen {
        let scenario_began = Instant::now();
        let report = measure(scenario, &bench);
        let took = scenario_began.elapsed();
        times.scenarios.push((report.outline.name, took));
        let section = report.section();
        bench.progress.suspend(|| print(&format!("{section}\n")));
        reports.push(report);
    }
    bench.progress.say("writing results");
    times.total = began.elapsed();
    let mut end = match bench.is_smoke() {
        true => String::new(),
        false => results::verdicts(&reports) + "\n",
    };
    // A run that a signal ends writes nothing.
    bench.workspace.end();
    if let Some(out) = out {
        let summary = results::write(&out, &machine, &reports, &times)?;
        if let Some(file) = &bench.arguments.document {
            document::write(file, &summary, &machine, &out)?;
        }
        end += &format!("Written to {}.\n", out.display());
    }
    let failures: Vec<_> = reports
        .iter()
        .flat_map(|report| report.failures.iter().map(move |what| (report, what)))
        .collect();
    for (report, failure) in &failures {
        end += &format!("Failed: {}: {failure}\n", report.outline.name);
    }
    end += &format!("{times} {} failures.\n", failures.len());
    bench.progress.suspend(|| print(&end));
    Ok(failures.is_empty())
}

/// Whatever becomes of it, there is a report.
fn measure(scenario: Scenario, bench: &Bench) -> Report {
    let mut report = Report::new(scenario.outline());
    // A peer that is missing is named in every table that would have it.
    if scenario.has_peers() {
        report.notes.extend(bench.missing.iter().cloned());
    }
    if let Err(error) = scenario.measure(bench, &mut report) {
        report.failures.push(format!("{error:#}"));
    }
    report
}
