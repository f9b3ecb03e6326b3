use std::path::PathBuf;

use super::{
    super::{Objective, summary::tests::summary},
    *,
};

fn latencies() -> Histogram<u64> {
    let mut latencies = Histogram::new_with_bounds(1, 3_600_000_000, 3).unwrap();
    for index in 0..60_000_u64 {
        // Most are fast, few are slow, fewer are very slow.
        let tail = 60_000 / (index * 7919 % 60_000 + 1);
        latencies.record(500 + index % 700 + tail).unwrap();
    }
    latencies
}

/// Names of the elements, each checked to be closed by its own end tag: a reader of XML would take
/// the page.
fn elements(page: &str) -> Vec<&str> {
    let body = page.strip_prefix("<!DOCTYPE html>").unwrap();
    let (mut open, mut all) = (Vec::new(), Vec::new());
    let mut rest = body;
    while let Some(start) = rest.find('<') {
        let text = &rest[..start];
        let entities = text.match_indices('&');
        for (at, _) in entities {
            let name = text[at + 1..].split(';').next().unwrap();
            let known = ["lt", "gt", "amp", "quot", "apos", "#39"];
            assert!(known.contains(&name), "{name:?} in {text}");
        }
        let end = start + rest[start..].find('>').expect("a tag ends");
        let tag = &rest[start + 1..end];
        let name = tag
            .trim_start_matches('/')
            .split([' ', '/'])
            .next()
            .unwrap();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "{tag}");
        } else {
            all.push(name);
            if !tag.ends_with('/') {
                open.push(name);
            }
        }
        rest = &rest[end + 1..];
    }
    assert!(open.is_empty(), "{open:?}");
    all
}

#[test]
fn a_page_stands_alone() {
    let mut summary = summary();
    summary.objectives = vec![Objective::Errors(0).judge(&summary)];
    let page = page(&summary, &latencies()).unwrap();
    let elements = elements(&page);
    let count = |name| elements.iter().filter(|element| **element == name).count();
    assert_eq!((count("svg"), count("figure"), count("html")), (4, 4, 1));
    assert_eq!(
        count("script") + count("link") + count("img") + count("iframe"),
        0
    );
    // The only addresses are those of what was measured, and the name of SVG.
    let addresses = page.replace("http://www.w3.org/2000/svg", "");
    let addresses = addresses.replace("http://127.0.0.1:8080/", "");
    assert!(!addresses.contains("://"), "{addresses}");
    for part in [
        "open loop, latency from the intended send time",
        "Latency by percentile",
        "99.99%",
        "<td>no answer within 1s</td>",
        "<td class=\"doubt\">MISSED</td>",
        "prefers-color-scheme: dark",
    ] {
        assert!(page.contains(part), "{part}");
    }
    if let Some(directory) = std::env::var_os("RINGMAIN_KEEP_REPORT") {
        std::fs::write(PathBuf::from(directory).join("report.html"), page).unwrap();
    }
}

/// Every colour that a plot uses has a rule for a dark background.
#[test]
fn plots_follow_the_style() {
    let page = page(&summary(), &latencies()).unwrap();
    for attribute in ["fill=\"#", "stroke=\"#"] {
        for (at, _) in page.match_indices(attribute) {
            let end = at + attribute.len() + 7;
            let rule = format!("svg [{}]", &page[at..end]);
            assert!(page.contains(&rule), "{rule}");
        }
    }
}

#[test]
fn what_others_say_is_escaped() {
    let mut summary = summary();
    let evil = "</title><script>alert('x')</script>\u{0}&\"";
    summary.targets[0].url = evil.to_owned();
    summary.targets[0].method = Some("<b>".to_owned());
    summary.program = evil.to_owned();
    summary.protocol = evil.to_owned();
    summary.generator.io = evil.to_owned();
    summary.generator.bottleneck = true;
    summary.generator.reason = Some(evil.to_owned());
    summary.errors = [(evil.to_owned(), 1)].into();
    summary.error_examples = [(evil.to_owned(), evil.to_owned())].into();
    let page = page(&summary, &latencies()).unwrap();
    let elements = elements(&page);
    assert!(
        !elements.contains(&"script") && !elements.contains(&"b"),
        "{elements:?}"
    );
    assert!(!page.contains('\u{0}'));
    let escaped =
        "&lt;/title&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;\u{fffd}&amp;&quot;";
    assert_eq!(page.matches(escaped).count(), 8, "{page}");
}

#[test]
fn a_run_without_answers_is_a_page() {
    let mut nothing = summary();
    nothing.latency_us = None;
    nothing.intervals.clear();
    nothing.targets.clear();
    let latencies = Histogram::new_with_bounds(1, 3_600_000_000, 3).unwrap();
    let page = page(&nothing, &latencies).unwrap();
    assert!(!elements(&page).contains(&"svg"), "{page}");
}
