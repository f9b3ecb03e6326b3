//! A scrape of `/stats/prometheus`, as samples.

use std::collections::BTreeMap;

/// Samples in the order of the scrape.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Vec<Sample>);

/// One line.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

impl Metrics {
    /// Of the text format 0.0.4; a panic when a line is not of it. Escapes in values do not occur.
    pub fn parse(text: &str) -> Self {
        let lines = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(lines.map(Sample::parse).collect())
    }

    /// Sum of the samples of this name whose labels are as given.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let matching = self.0.iter().filter(|sample| {
            let is = |&(label, value): &(&str, &str)| {
                sample.labels.get(label).is_some_and(|other| other == value)
            };
            sample.name == name && labels.iter().all(is)
        });
        matching.map(|sample| sample.value).sum::<f64>() as u64
    }

    /// Samples of this name.
    pub fn named(&self, name: &str) -> Vec<&Sample> {
        self.0.iter().filter(|sample| sample.name == name).collect()
    }

    /// All samples.
    pub fn samples(&self) -> &[Sample] {
        &self.0
    }
}

impl Sample {
    fn parse(line: &str) -> Self {
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line:?}"));
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}').expect("a closing brace")),
            None => (series, ""),
        };
        let labels = labels
            .split("\",")
            .filter(|label| !label.is_empty())
            .map(|label| {
                let (name, value) = label
                    .split_once("=\"")
                    .unwrap_or_else(|| panic!("{line:?}"));
                (name.to_owned(), value.trim_end_matches('"').to_owned())
            });
        Self {
            name: name.to_owned(),
            labels: labels.collect(),
            value: value.parse().unwrap_or_else(|_| panic!("{line:?}")),
        }
    }
}
