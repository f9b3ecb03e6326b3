//! Who decided: what a proxy has logged of a request, and what `ringmain explain` says of it.

use ringmain_tests::shop::{Asked, Shop};

/// A call of one service by another.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    /// The proxy that decides, beside the caller.
    pub(crate) by: &'static str,
    /// As the caller names it.
    pub(crate) service: &'static str,
}

pub(crate) const DETAILS: Call = Call {
    by: "productpage-v1",
    service: "details",
};
pub(crate) const REVIEWS: Call = Call {
    by: "productpage-v1",
    service: "reviews",
};
pub(crate) const RATINGS: Call = Call {
    by: "reviews-v3",
    service: "ratings",
};

/// Versions and their shares, in percent.
pub(crate) type Shares<'a> = &'a [(&'a str, u32)];

/// Of a request that was asked.
pub(crate) struct Claim<'a> {
    pub(crate) asked: &'a Asked,
    pub(crate) user: Option<&'a str>,
    pub(crate) call: Call,
    /// Name of the rule, in the file that is named after the service.
    pub(crate) rule: &'a str,
    /// Where it leads.
    pub(crate) to: Shares<'a>,
    /// Status and flags.
    pub(crate) verdict: &'a str,
}

/// All of them are true. Proxies write their logs once in a while: ask first, then claim.
#[track_caller]
pub(crate) fn check(shop: &Shop, claims: &[Claim<'_>]) {
    for claim in claims {
        claim.explained(shop);
        claim.logged(shop);
    }
}

impl Claim<'_> {
    /// By file and line.
    #[track_caller]
    fn explained(&self, shop: &Shop) {
        let Call { by, service } = self.call;
        let url = format!("http://{service}:9080/{service}/0");
        let explained = shop.explain(["--from", by], &["GET", &url], self.user);
        let file = format!("{service}.yaml");
        let line = line_of_rule(&shop.read(&format!("mesh/{file}")), self.rule);
        let decided = format!("{file}:{line}");
        assert_eq!(explained.decided, decided, "{shop}: {explained:?}");
        let destinations = explained.json["outcome"]["forward"].as_array().unwrap();
        let shares = destinations.iter().map(|destination| {
            let share = destination["share"].as_f64().unwrap() as u32;
            let subset = destination["subset"].as_str();
            (subset.unwrap_or_default(), share)
        });
        assert_eq!(shares.collect::<Vec<_>>(), self.to, "{shop}");
    }

    #[track_caller]
    fn logged(&self, shop: &Shop) {
        let logged = shop.logged(self.call.by, self.asked, self.call.service);
        assert_eq!(
            logged.get("route_name"),
            self.rule,
            "{shop}: {}",
            logged.text
        );
        assert_eq!(logged.verdict(), self.verdict, "{shop}: {}", logged.text);
        if self.verdict.ends_with("FI") {
            let reached = logged.get("upstream_host");
            assert_eq!(reached, "-", "{shop}: nobody is asked: {}", logged.text);
            return;
        }
        let subset = logged.get("upstream_cluster").split('|').nth(2);
        let mut subsets = self.to.iter().map(|(subset, _)| Some(*subset));
        assert!(
            subsets.any(|meant| meant == subset),
            "{shop}: {}",
            logged.text
        );
    }
}

/// Where a rule begins; of one with a match, where that begins. 1-based.
#[track_caller]
pub(crate) fn line_of_rule(text: &str, rule: &str) -> usize {
    let line = line_of(text, &format!("- name: {rule}"));
    match text.lines().nth(line).map(str::trim) {
        Some("match:") => line + 2,
        _ => line,
    }
}

/// 1-based; a panic when there is not exactly one.
#[track_caller]
pub(crate) fn line_of(text: &str, wanted: &str) -> usize {
    let lines = text.lines().enumerate();
    let found = lines.filter(|(_, line)| line.trim() == wanted);
    let found: Vec<_> = found.map(|(index, _)| index + 1).collect();
    assert_eq!(found.len(), 1, "{wanted:?} in {text}");
    found[0]
}
