//! Figures as they were measured: the one thing that tables, charts and marks are made from.

use crate::statistics::Spread;

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Where it comes from.
    pub scenario: &'static str,
    /// Which part of the scenario.
    pub case: String,
    /// Which round, from 1.
    pub round: u32,
    /// Of which program.
    pub peer: &'static str,
    /// What, with its unit.
    pub quantity: &'static str,
    /// How much.
    pub value: f64,
    /// Others used little of the machine in this round.
    pub quiet: bool,
}

/// All figures of a run, in the order in which they were measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples(Vec<Sample>);

impl Samples {
    /// Adds one that does not depend on what others do: a count, or memory.
    pub fn push(
        &mut self,
        scenario: &'static str,
        case: &str,
        peer: &'static str,
        quantity: &'static str,
        value: f64,
    ) {
        self.0.push(Sample {
            scenario,
            case: case.to_owned(),
            round: 1,
            peer,
            quantity,
            value,
            quiet: true,
        });
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: impl IntoIterator<Item = Sample>) {
        self.0.extend(other);
    }

    /// Every one.
    pub fn iter(&self) -> impl Iterator<Item = &Sample> {
        self.0.iter()
    }

    /// Median and extremes over the quiet rounds; over all of them when none was quiet.
    pub fn spread(&self, scenario: &str, case: &str, peer: &str, quantity: &str) -> Option<Spread> {
        let matching = || {
            self.0.iter().filter(move |sample| {
                sample.scenario == scenario
                    && sample.case == case
                    && sample.peer == peer
                    && sample.quantity == quantity
            })
        };
        let some_quiet = matching().any(|sample| sample.quiet);
        Spread::of(
            matching()
                .filter(|sample| sample.quiet || !some_quiet)
                .map(|sample| sample.value),
        )
    }

    /// The median alone.
    pub fn median(&self, scenario: &str, case: &str, peer: &str, quantity: &str) -> Option<f64> {
        Some(self.spread(scenario, case, peer, quantity)?.median)
    }

    /// The sizes of all of `peer`'s figures of this quantity together, of every case and round,
    /// whichever sign they have; `None` without any.
    pub fn absolutes(&self, scenario: &str, peer: &str, quantity: &str) -> Option<f64> {
        let is_meant = |sample: &&Sample| {
            (sample.scenario, sample.peer, sample.quantity) == (scenario, peer, quantity)
        };
        let values = self
            .0
            .iter()
            .filter(is_meant)
            .map(|sample| sample.value.abs());
        values.reduce(|one, other| one + other)
    }

    /// Pairs of case and program in the order of their first figures.
    pub fn rows(&self) -> Vec<(&str, &'static str)> {
        let mut rows = Vec::new();
        for sample in &self.0 {
            let row = (&*sample.case, sample.peer);
            if !rows.contains(&row) {
                rows.push(row);
            }
        }
        // All programs of a case together, whatever the order of the figures was.
        let mut cases: Vec<&str> = Vec::new();
        for (case, _) in &rows {
            if !cases.contains(case) {
                cases.push(case);
            }
        }
        rows.sort_by_key(|(case, _)| cases.iter().position(|known| known == case));
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::{Sample, Samples};

    fn sample(case: &str, peer: &'static str, value: f64, quiet: bool) -> Sample {
        Sample {
            scenario: "s",
            case: case.to_owned(),
            round: 1,
            peer,
            quantity: "q",
            value,
            quiet,
        }
    }

    #[test]
    fn quiet_rounds_decide_when_there_are_any() {
        let mut samples = Samples::default();
        samples.extend([sample("a", "x", 1.0, false), sample("a", "x", 3.0, false)]);
        assert_eq!(samples.median("s", "a", "x", "q"), Some(2.0));
        samples.extend([sample("a", "x", 7.0, true)]);
        assert_eq!(samples.median("s", "a", "x", "q"), Some(7.0));
        assert_eq!(samples.median("s", "a", "y", "q"), None);
        assert_eq!(samples.median("s", "b", "x", "q"), None);
    }

    #[test]
    fn absolutes_are_of_all_cases_and_rounds() {
        let mut samples = Samples::default();
        assert_eq!(samples.absolutes("s", "x", "q"), None);
        samples.extend([
            sample("a", "x", 1.0, false),
            sample("a", "x", 0.0, true),
            sample("b", "x", -2.0, true),
            sample("b", "y", 9.0, true),
        ]);
        assert_eq!(samples.absolutes("s", "x", "q"), Some(3.0));
    }

    #[test]
    fn rows_are_grouped_by_case() {
        let mut samples = Samples::default();
        let pairs = [("a", "x"), ("b", "x"), ("a", "y"), ("b", "x")];
        samples.extend(pairs.map(|(case, peer)| sample(case, peer, 1.0, true)));
        assert_eq!(samples.rows(), [("a", "x"), ("a", "y"), ("b", "x")]);
    }
}
