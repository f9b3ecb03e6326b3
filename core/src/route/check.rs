//! What a route says of retries, faults, CORS, copies and rewriting, and what of it cannot be.

use ringmain_config::{
    filter::{self as config_filter, AbortWith, Cors, Filters, Share},
    retry::RetryPolicy,
    route as config,
};

use super::{
    Extras, Mirror,
    compile::{Clusters, Compiler},
};
use crate::{header::is_control_byte, place::Place};

impl<C: Clusters> Compiler<'_, C> {
    pub(super) fn check_retry(&mut self, policy: &RetryPolicy, place: &Place<'_>) {
        let place = Place::below(place, "retry", "", None);
        for status in &policy.status_codes {
            if !(200..600).contains(status) {
                self.problem(&place, format!("status {status} is not 200 to 599"));
            }
        }
        if policy
            .per_try_timeout
            .is_some_and(|timeout| timeout.is_zero())
        {
            self.problem(
                &place,
                "a timeout of 0 for each try, in which none can succeed",
            );
        }
    }

    pub(super) fn check_filters(&mut self, filters: &Filters, place: &Place<'_>) {
        if let Some(fault) = &filters.fault {
            let place = Place::below(place, "fault", "", None);
            if let Some(delay) = &fault.delay {
                self.check_share(delay.share, &Place::below(&place, "delay", "", None));
            }
            if let Some(abort) = &fault.abort {
                let place = Place::below(&place, "abort", "", None);
                self.check_share(abort.share, &place);
                match abort.with {
                    AbortWith::Http(200..600) | AbortWith::Grpc(0..=16) => {}
                    AbortWith::Http(status) => {
                        self.problem(&place, format!("status {status} is not 200 to 599"));
                    }
                    AbortWith::Grpc(status) => {
                        self.problem(&place, format!("gRPC status {status} is not 0 to 16"));
                    }
                }
            }
        }
        if let Some(cors) = &filters.cors {
            self.check_cors(cors, &Place::below(place, "cors", "", None));
        }
    }

    fn check_cors(&mut self, cors: &Cors, place: &Place<'_>) {
        for origin in &cors.allow_origins {
            self.text(origin, &Place::below(place, "origin", "", None));
        }
        for (kind, list) in [
            ("method", &cors.allow_methods),
            ("allowed header", &cors.allow_headers),
            ("exposed header", &cors.expose_headers),
        ] {
            for value in list {
                let is_unfit = |byte| is_control_byte(byte) || !byte.is_ascii();
                if value.is_empty() || value.bytes().any(is_unfit) {
                    let place = Place::below(place, kind, value, None);
                    self.problem(&place, "empty, or not visible ASCII throughout");
                }
            }
        }
    }

    pub(super) fn extras(
        &mut self,
        source: &config::Route,
        place: &Place<'_>,
    ) -> Option<Box<Extras>> {
        let config::Action::Forward(forward) = &source.action else {
            return None;
        };
        let mirrors = forward.mirrors.iter();
        let mirrors: Box<[Mirror]> = mirrors.map(|mirror| self.mirror(mirror, place)).collect();
        (!mirrors.is_empty()).then(|| Box::new(Extras { mirrors }))
    }

    fn mirror(&mut self, source: &config_filter::Mirror, place: &Place<'_>) -> Mirror {
        let place = Place::below(place, "mirror", "", None);
        let place = Place::below(&place, "cluster", &source.cluster, None);
        self.check_share(source.share, &place);
        Mirror {
            cluster: self.cluster(&source.cluster, &place),
            share: source.share,
        }
    }

    fn check_share(&mut self, share: Share, place: &Place<'_>) {
        if share > Share::ALL {
            let message = format!("a share of {} millionths is over 1000000", share.0);
            self.problem(place, message);
        }
    }

    pub(super) fn check_regex_rewrite(
        &mut self,
        rewrite: &config::RegexRewrite,
        place: &Place<'_>,
    ) {
        let place = Place::below(place, "regex", "", None);
        self.regex(&rewrite.pattern, &place);
    }
}
