//! What a route says of retries, faults, CORS, copies and rewriting, and what of it cannot be.

use std::sync::Arc;

use ringmain_config::{
    filter::{self as config_filter, AbortWith, Share},
    retry::RetryPolicy,
    route as config,
};

use super::{
    Extras, Mirror,
    compile::{Clusters, Compiler},
    rewrite::{PathRewrite, RegexRewrite, Rewrite},
};
use crate::{
    filter::{Filters, cors::Cors, fault::Fault},
    header::is_control_byte,
    place::Place,
    retry,
};

/// `None`: there is one try.
pub(super) type Retries = Option<Arc<retry::Policy>>;

impl<C: Clusters> Compiler<'_, C> {
    pub(super) fn retry(&mut self, policy: &RetryPolicy, place: &Place<'_>) -> Retries {
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
        retry::Policy::compile(policy).map(Arc::new)
    }

    fn filters(&mut self, source: &config_filter::Filters, place: &Place<'_>) -> Filters {
        if let Some(fault) = &source.fault {
            self.check_fault(fault, &Place::below(place, "fault", "", None));
        }
        let cors = source.cors.as_ref();
        Filters {
            fault: source.fault.clone().map(Fault::from),
            cors: cors.map(|cors| self.cors(cors, &Place::below(place, "cors", "", None))),
        }
    }

    fn check_fault(&mut self, fault: &config_filter::Fault, place: &Place<'_>) {
        if let Some(delay) = &fault.delay {
            self.check_share(delay.share, &Place::below(place, "delay", "", None));
        }
        let Some(abort) = &fault.abort else {
            return;
        };
        let place = Place::below(place, "abort", "", None);
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

    fn cors(&mut self, cors: &config_filter::Cors, place: &Place<'_>) -> Cors {
        let origins = cors.allow_origins.iter();
        let origins = origins
            .map(|origin| self.text(origin, &Place::below(place, "origin", "", None)))
            .collect();
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
        Cors::new(cors, origins)
    }

    pub(super) fn extras(
        &mut self,
        source: &config::Route,
        place: &Place<'_>,
    ) -> Option<Box<Extras>> {
        let filters = self.filters(&source.filters, place);
        let mirrors = match &source.action {
            config::Action::Forward(forward) => &*forward.mirrors,
            config::Action::Redirect(_) | config::Action::Direct(_) => &[],
        };
        let mirrors = mirrors.iter();
        let mirrors: Box<[Mirror]> = mirrors.map(|mirror| self.mirror(mirror, place)).collect();
        let is_empty = filters.is_empty() && mirrors.is_empty();
        (!is_empty).then(|| Box::new(Extras { filters, mirrors }))
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

    pub(super) fn rewrite(&mut self, source: &config::Rewrite, place: &Place<'_>) -> Rewrite {
        let place = Place::below(place, "rewrite", "", None);
        if let Some(path) = &source.path {
            self.rewritten_path(path, &place);
        }
        if source.path.is_some() && source.regex.is_some() {
            self.problem(&place, "it has both a path and a regex to replace by");
        }
        if let Some(authority) = &source.authority {
            self.authority(authority, &place);
        }
        let regex = source.regex.as_ref();
        let regex = regex.and_then(|regex| self.regex_rewrite(regex, &place));
        Rewrite {
            path: match (&source.path, regex) {
                (_, Some(regex)) => PathRewrite::Regex(Box::new(regex)),
                (Some(path), None) => PathRewrite::Matched(path.as_str().into()),
                (None, None) => PathRewrite::Keep,
            },
            authority: source.authority.as_deref().map(Into::into),
        }
    }

    fn regex_rewrite(
        &mut self,
        source: &config::RegexRewrite,
        place: &Place<'_>,
    ) -> Option<RegexRewrite> {
        match RegexRewrite::compile(source) {
            Ok(rewrite) => Some(rewrite),
            Err(reason) => {
                self.problem(&Place::below(place, "regex", "", None), reason);
                None
            }
        }
    }
}
