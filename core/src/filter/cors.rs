//! Cross-origin resource sharing: which pages of other origins may read the answers
//! (Fetch standard, section 3.2; `CorsPolicy`).
//!
//! An allowed origin is named in the answer as it was sent, never as `*`, as in Envoy; answers are
//! therefore marked as different for different origins (`vary`), which Envoy does not do.
//! Preflights of allowed origins are answered here. The fields are set in place of those that the
//! upstream sends.

use ringmain_config::filter::Cors as Source;

use super::Then;
use crate::{header::Headers, route::Request, route::matcher::Text};

/// Which pages of other origins may read the answers.
#[derive(Debug)]
pub struct Cors {
    /// Every origin is allowed.
    allows_any: bool,
    /// Any of them allows an origin.
    origins: Box<[Text]>,
    /// Values of the fields; empty where there is none.
    methods: Box<str>,
    headers: Box<str>,
    exposed: Box<str>,
    max_age: Box<str>,
    allows_credentials: bool,
    answers_unmatched_preflights: bool,
}

/// An origin is allowed: the fields of the answer that say so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// As the request named it.
    origin: Box<[u8]>,
}

impl Cors {
    /// `origins`: those of `source`, compiled.
    pub(crate) fn new(source: &Source, origins: Box<[Text]>) -> Self {
        let is_any = |origin: &Text| matches!(origin, Text::Exact(text) if &**text == "*");
        let max_age = source.max_age.map(|age| age.as_secs().to_string());
        Self {
            allows_any: origins.iter().any(is_any),
            origins,
            methods: source.allow_methods.join(",").into(),
            headers: source.allow_headers.join(",").into(),
            exposed: source.expose_headers.join(",").into(),
            max_age: max_age.unwrap_or_default().into(),
            allows_credentials: source.allow_credentials,
            answers_unmatched_preflights: source.answers_unmatched_preflights,
        }
    }

    /// What the policy says of a request.
    pub(crate) fn request<H: Headers + ?Sized>(&self, request: &Request<'_, H>) -> Then {
        let origin = request.headers.value("origin");
        let Some(origin) = origin.filter(|origin| !origin.is_empty()) else {
            return Then::Continue;
        };
        let is_preflight = request.method == "OPTIONS"
            && request
                .headers
                .value("access-control-request-method")
                .is_some_and(|method| !method.is_empty());
        let granted = self.allows(&origin).then(|| Granted {
            origin: (&*origin).into(),
        });
        match (is_preflight, granted) {
            (true, Some(granted)) => Then::Preflight(granted),
            (false, Some(granted)) => Then::ContinueGranted(granted),
            (true, None) if self.answers_unmatched_preflights => Then::PreflightRefused,
            (true | false, None) => Then::Continue,
        }
    }

    /// Pages of `origin` may read the answers.
    pub fn allows(&self, origin: &[u8]) -> bool {
        self.allows_any || self.origins.iter().any(|allowed| allowed.is_met(origin))
    }

    /// Fields of the answer to a preflight.
    pub fn preflight_fields<'a>(
        &'a self,
        granted: &'a Granted,
    ) -> impl Iterator<Item = (&'static str, &'a [u8])> {
        let own = [
            ("access-control-allow-methods", &*self.methods),
            ("access-control-allow-headers", &*self.headers),
            ("access-control-max-age", &*self.max_age),
        ];
        self.common_fields(granted).chain(present(own))
    }

    /// Fields of the answer to another request, in place of those of these names; `vary` beside
    /// others.
    pub fn response_fields<'a>(
        &'a self,
        granted: &'a Granted,
    ) -> impl Iterator<Item = (&'static str, &'a [u8])> {
        let own = [("access-control-expose-headers", &*self.exposed)];
        self.common_fields(granted).chain(present(own))
    }

    fn common_fields<'a>(
        &'a self,
        granted: &'a Granted,
    ) -> impl Iterator<Item = (&'static str, &'a [u8])> {
        let credentials = ("access-control-allow-credentials", b"true".as_slice());
        let fields = [
            Some(("access-control-allow-origin", &*granted.origin)),
            self.allows_credentials.then_some(credentials),
            Some(("vary", b"origin".as_slice())),
        ];
        fields.into_iter().flatten()
    }

    /// Fields of an upstream's answer that [`Self::response_fields`] takes the place of.
    pub const REPLACED: [&'static str; 3] = [
        "access-control-allow-origin",
        "access-control-allow-credentials",
        "access-control-expose-headers",
    ];
}

fn present<'a, const COUNT: usize>(
    fields: [(&'static str, &'a str); COUNT],
) -> impl Iterator<Item = (&'static str, &'a [u8])> {
    let fields = fields.into_iter();
    fields
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name, value.as_bytes()))
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;

    pub(in crate::filter) fn any_origin() -> Cors {
        Cors::new(&Source::default(), [Text::Exact("*".into())].into())
    }

    pub(in crate::filter) fn request<'a>(
        method: &'a str,
        headers: &'a [(String, String)],
    ) -> Request<'a, [(String, String)]> {
        Request {
            method,
            scheme: "https",
            authority: "api.example",
            path: "/",
            query: None,
            headers,
            listener_port: 443,
        }
    }

    fn policy(change: impl FnOnce(&mut Source)) -> Cors {
        let mut source = Source {
            allow_methods: vec!["GET".to_owned(), "PUT".to_owned()],
            allow_headers: vec!["x-a".to_owned()],
            expose_headers: vec!["x-b".to_owned(), "x-c".to_owned()],
            max_age: Some(Duration::from_millis(86_400_900)),
            allow_credentials: true,
            ..Source::default()
        };
        change(&mut source);
        let origins = [
            Text::Exact("https://a.example".into()),
            Text::Prefix("https://b.".into()),
        ];
        Cors::new(&source, origins.into())
    }

    fn met(cors: &Cors, method: &str, fields: &[(&str, &str)]) -> Then {
        let fields = fields.iter();
        let fields: Vec<(String, String)> = fields
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        cors.request(&request(method, &fields))
    }

    const ALLOWED: (&str, &str) = ("origin", "https://a.example");
    const REQUESTED: (&str, &str) = ("access-control-request-method", "PUT");

    #[test]
    fn requests() {
        let granted = |origin: &str| Granted {
            origin: origin.as_bytes().into(),
        };
        let a = || granted("https://a.example");
        let forwarding = policy(|_| {});
        let answering = policy(|source| source.answers_unmatched_preflights = true);
        let other = ("origin", "https://a.example.evil");
        for (cors, method, fields, expected) in [
            (&forwarding, "GET", &[][..], Then::Continue),
            (&forwarding, "GET", &[("origin", "")], Then::Continue),
            (&forwarding, "GET", &[ALLOWED], Then::ContinueGranted(a())),
            (
                &forwarding,
                "GET",
                &[ALLOWED, REQUESTED],
                Then::ContinueGranted(a()),
            ),
            (
                &forwarding,
                "OPTIONS",
                &[ALLOWED],
                Then::ContinueGranted(a()),
            ),
            (
                &forwarding,
                "OPTIONS",
                &[ALLOWED, REQUESTED],
                Then::Preflight(a()),
            ),
            (&forwarding, "OPTIONS", &[REQUESTED], Then::Continue),
            (
                &forwarding,
                "PUT",
                &[("origin", "https://b.example")],
                Then::ContinueGranted(granted("https://b.example")),
            ),
            (&forwarding, "GET", &[other], Then::Continue),
            (&forwarding, "OPTIONS", &[other, REQUESTED], Then::Continue),
            (
                &answering,
                "OPTIONS",
                &[other, REQUESTED],
                Then::PreflightRefused,
            ),
            (&answering, "OPTIONS", &[other], Then::Continue),
            (&answering, "GET", &[other], Then::Continue),
            (
                &answering,
                "OPTIONS",
                &[ALLOWED, REQUESTED],
                Then::Preflight(a()),
            ),
        ] {
            assert_eq!(met(cors, method, fields), expected, "{method} {fields:?}");
        }
        let null = [("origin", "null")];
        assert_eq!(
            met(&any_origin(), "GET", &null),
            Then::ContinueGranted(granted("null"))
        );
        assert_eq!(met(&forwarding, "GET", &null), Then::Continue);
    }

    #[test]
    fn fields() {
        let granted = Granted {
            origin: (*b"https://a.example").into(),
        };
        let text = |fields: &mut dyn Iterator<Item = (&'static str, &[u8])>| {
            let fields = fields.map(|(name, value)| {
                let name = name.replace("access-control-", "");
                format!("{name}: {}", String::from_utf8_lossy(value))
            });
            fields.collect::<Vec<_>>().join("; ")
        };
        let full = policy(|_| {});
        assert_eq!(
            text(&mut full.preflight_fields(&granted)),
            "allow-origin: https://a.example; allow-credentials: true; vary: origin; \
             allow-methods: GET,PUT; allow-headers: x-a; max-age: 86400"
        );
        assert_eq!(
            text(&mut full.response_fields(&granted)),
            "allow-origin: https://a.example; allow-credentials: true; vary: origin; \
             expose-headers: x-b,x-c"
        );
        let bare = any_origin();
        let expected = "allow-origin: https://a.example; vary: origin";
        assert_eq!(text(&mut bare.preflight_fields(&granted)), expected);
        assert_eq!(text(&mut bare.response_fields(&granted)), expected);
        let written = full.response_fields(&granted).map(|(name, _)| name);
        assert!(written.filter(|name| *name != "vary").eq(Cors::REPLACED));
    }
}
