//! What a route's requests meet before its action: the list of filters, in their order.
//!
//! Fault comes before CORS, as in Envoy's chain under Istio. A filter looks at the request's head
//! and says what to do; it waits for nothing and writes nothing. An answer of a filter is a value,
//! not an error. Adding one: a file here, a field in [`Filters`], a line in [`Filters::request`].

pub mod cors;
pub mod fault;

use std::time::Duration;

use ringmain_config::filter::{AbortWith, Share};

use crate::{header::Headers, route::Request};
use cors::{Cors, Granted};
use fault::Fault;

/// The filters of a route; those it does not have are absent.
#[derive(Debug, Default)]
pub struct Filters {
    /// Failures on purpose.
    pub fault: Option<Fault>,
    /// Which pages of other origins may read the answers.
    pub cors: Option<Cors>,
}

/// What a request's head met.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Passage {
    /// Wait so long before anything else. The time counts as the request's.
    pub delay: Option<Duration>,
    /// What to do then.
    pub then: Then,
}

/// What to do with a request behind its filters.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Then {
    /// The route's action.
    #[default]
    Continue,
    /// The route's action, and the response gets these fields.
    ContinueGranted(Granted),
    /// Answer so: [`crate::failure::Failure::FaultAbort`].
    Abort(AbortWith),
    /// Answer 200 without a body, with the fields of a preflight.
    Preflight(Granted),
    /// Answer 200 without a body and without any field of CORS: the origin is not allowed.
    PreflightRefused,
}

impl Filters {
    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.fault.is_none() && self.cors.is_none()
    }

    /// What `request` meets. Each call of `random` gives 64 evenly distributed bits.
    pub fn request<H: Headers + ?Sized>(
        &self,
        request: &Request<'_, H>,
        random: &mut impl FnMut() -> u64,
    ) -> Passage {
        let fault = self.fault.as_ref();
        let delay = fault.and_then(|fault| fault.delay(random));
        let abort = fault.and_then(|fault| fault.abort(random));
        let cors = || self.cors.as_ref().map(|cors| cors.request(request));
        let then = match abort {
            Some(with) => Then::Abort(with),
            None => cors().unwrap_or_default(),
        };
        Passage { delay, then }
    }
}

/// Is a request one of `share` of all? `random` is 64 evenly distributed bits; the share is exact
/// up to 2^-44.
pub fn is_drawn(share: Share, random: u64) -> bool {
    let point = (u128::from(random) * u128::from(Share::ALL.0)) >> 64;
    point < u128::from(share.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ringmain_config::filter::{Abort, AbortWith, Delay, Fault as FaultSource, Share};

    use super::{Filters, Passage, Then, cors::tests as of_cors, fault::Fault, is_drawn};

    #[test]
    fn shares() {
        let half = 1 << 63;
        for (share, random, expected) in [
            (0, 0, false),
            (1_000_000, u64::MAX, true),
            (500_000, half - 1, true),
            (500_000, half, false),
            (1, 0, true),
            (1, u64::MAX / 1_000_000 + 1, false),
        ] {
            assert_eq!(is_drawn(Share(share), random), expected, "{share} {random}");
        }
    }

    /// A delay and an abort are drawn apart; who is aborted meets no CORS.
    #[test]
    fn fault_then_cors() {
        let delay = Duration::from_secs(2);
        let filters = Filters {
            fault: Some(Fault::from(FaultSource {
                delay: Some(Delay {
                    duration: delay,
                    share: Share(500_000),
                }),
                abort: Some(Abort {
                    with: AbortWith::Http(503),
                    share: Share(500_000),
                }),
            })),
            cors: Some(of_cors::any_origin()),
        };
        for (randoms, delay, is_aborted) in [
            ([0, 0], Some(delay), true),
            ([0, u64::MAX], Some(delay), false),
            ([u64::MAX, 0], None, true),
            ([u64::MAX, u64::MAX], None, false),
        ] {
            let mut randoms = randoms.into_iter();
            let mut random = || randoms.next().unwrap();
            let headers = [("origin".to_owned(), "https://a".to_owned())];
            let request = of_cors::request("GET", &headers);
            let passage = filters.request(&request, &mut random);
            assert_eq!(passage.delay, delay);
            match (passage.then, is_aborted) {
                (Then::Abort(AbortWith::Http(503)), true) => {}
                (Then::ContinueGranted(_), false) => {}
                (then, _) => panic!("{then:?}"),
            }
        }
    }

    /// Nothing is drawn where there is nothing to draw for.
    #[test]
    fn no_filter_does_nothing() {
        let headers = [("origin".to_owned(), "https://a".to_owned())];
        let request = of_cors::request("OPTIONS", &headers);
        let mut random = || panic!("there is nothing to draw for");
        let filters = Filters::default();
        assert!(filters.is_empty());
        assert_eq!(filters.request(&request, &mut random), Passage::default());
    }
}
