//! What the demo does when: the phases, the shares of each version in them, and whether what was
//! observed is what was wanted.

use std::time::Duration;

/// A time in which the rule for reviews stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Phase {
    /// What holds in it, for announcements.
    pub(super) title: &'static str,
    /// Percent of the requests to reviews that v1, v2 and v3 are to get.
    pub(super) wanted: [u32; 3],
    /// File of `shift/` that becomes the rule when it begins; the first begins with the rule that
    /// is there.
    pub(super) file: Option<&'static str>,
}

/// In their order.
pub(super) const PHASES: [Phase; 3] = [
    Phase {
        title: "all requests to reviews go to v1",
        wanted: [100, 0, 0],
        file: None,
    },
    Phase {
        title: "90 % of the requests to reviews go to v1 and 10 % to v3",
        wanted: [90, 0, 10],
        file: Some("reviews-90-10.yaml"),
    },
    Phase {
        title: "50 % of the requests to reviews go to v1 and 50 % to v3",
        wanted: [50, 0, 50],
        file: Some("reviews-50-50.yaml"),
    },
];

/// Without a duration, phases but the last take this long, and the last has no end.
const PHASE: Duration = Duration::from_secs(15);

/// When each phase ends, from the start of the first.
pub(super) fn ends(duration: Option<Duration>) -> [Option<Duration>; PHASES.len()] {
    let all = PHASES.len() as u32;
    let mut number = 0;
    [(); PHASES.len()].map(|()| {
        number += 1;
        match duration {
            Some(duration) => Some(duration * number / all),
            None if number < all => Some(PHASE * number),
            None => None,
        }
    })
}

/// Observed shares are believed to differ from the wanted ones beyond this many standard
/// deviations. A fair draw goes beyond 5 once in 1.7 million times.
const DEVIATIONS: f64 = 5.0;
/// Requests that were routed just before a phase and counted in it.
const OVERLAP: f64 = 3.0;

/// Whether `observed` requests to v1, v2 and v3 are what a draw with the weights `wanted` gives; if
/// not, what is wrong.
pub(super) fn judge(wanted: [u32; 3], observed: [u64; 3]) -> Result<(), String> {
    let all: u64 = observed.iter().sum();
    if all == 0 {
        return Err("no request to reviews was observed".to_owned());
    }
    for (index, (wanted, observed)) in wanted.into_iter().zip(observed).enumerate() {
        let version = index + 1;
        if wanted == 0 && observed > 0 {
            return Err(format!(
                "v{version} got {observed} requests and was to get none"
            ));
        }
        let share = f64::from(wanted) / 100.0;
        let expected = all as f64 * share;
        let deviation = (all as f64 * share * (1.0 - share)).sqrt();
        let allowed = DEVIATIONS * deviation + OVERLAP;
        if (observed as f64 - expected).abs() > allowed {
            return Err(format!(
                "v{version} got {observed} of {all} requests and was to get about {expected:.0}"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_share_the_time() {
        let seconds = |duration: Option<u64>| {
            ends(duration.map(Duration::from_secs)).map(|end| end.map(|end| end.as_millis()))
        };
        assert_eq!(seconds(Some(21)), [Some(7_000), Some(14_000), Some(21_000)]);
        assert_eq!(seconds(Some(20)), [Some(6_666), Some(13_333), Some(20_000)]);
        assert_eq!(seconds(None), [Some(15_000), Some(30_000), None]);
    }

    #[test]
    fn shares_add_up() {
        for phase in PHASES {
            assert_eq!(phase.wanted.iter().sum::<u32>(), 100, "{}", phase.title);
        }
    }

    #[test]
    fn judgements() {
        check([100, 0, 0], [500, 0, 0], None);
        check([100, 0, 0], [500, 0, 1], Some("v3 got 1 requests"));
        check([100, 0, 0], [0, 0, 0], Some("no request"));
        check([90, 0, 10], [900, 0, 100], None);
        check([90, 0, 10], [860, 0, 140], None);
        check([90, 0, 10], [840, 0, 160], Some("v1 got 840 of 1000"));
        check([90, 0, 10], [1000, 0, 0], Some("v1 got 1000 of 1000"));
        check([90, 0, 10], [900, 1, 100], Some("v2 got 1 requests"));
        check([50, 0, 50], [5, 0, 3], None);
        check([50, 0, 50], [430, 0, 570], None);
        check([50, 0, 50], [400, 0, 600], Some("v1 got 400 of 1000"));
    }

    fn check(wanted: [u32; 3], observed: [u64; 3], expected: Option<&str>) {
        match (judge(wanted, observed), expected) {
            (Ok(()), None) => {}
            (Err(text), Some(part)) => assert!(text.contains(part), "{observed:?}: {text}"),
            (actual, expected) => {
                panic!("{observed:?}: {actual:?} instead of {expected:?}");
            }
        }
    }
}
