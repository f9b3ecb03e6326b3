//! Cross-origin resource sharing: which pages of other origins may read the answers
//! (Fetch standard, section 3.2; `CorsPolicy`).
//!
//! An allowed origin is named in the answer as it was sent, never as `*`, as in Envoy; answers are
//! therefore marked as different for different origins (`vary`), which Envoy does not do.
//! Preflights of allowed origins are answered here. The fields are set in place of those that the
//! upstream sends. `*` beside credentials is sent as it is written, as Envoy does, unless the
//! policy says that it stands for what a preflight asks for.

use ringmain_config::filter::Cors as Source;

use super::Then;
use crate::{
    header::{Headers, is_token_byte},
    route::{Request, matcher::Text},
};

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
    /// What a preflight asks for is said in place of [`Self::methods`], or [`Self::headers`].
    echoes_methods: bool,
    echoes_headers: bool,
}

/// An origin is allowed: the fields of the answer that say so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// As the request named it.
    origin: Box<[u8]>,
    /// What a preflight asks for, where that is what is said.
    methods: Option<Box<[u8]>>,
    headers: Option<Box<[u8]>>,
}

impl Cors {
    /// `origins`: those of `source`, compiled.
    pub(crate) fn new(source: &Source, origins: Box<[Text]>) -> Self {
        let is_any = |origin: &Text| matches!(origin, Text::Exact(text) if &**text == "*");
        let max_age = source.max_age.map(|age| age.as_secs().to_string());
        let echoes = |list: &[String]| {
            source.wildcards_are_echoed && list.iter().any(|value| value == WILDCARD)
        };
        let joined = |list: &[String]| {
            let sent = list.iter().map(String::as_str);
            let sent = sent.filter(|value| !source.wildcards_are_echoed || *value != WILDCARD);
            sent.collect::<Vec<_>>().join(",").into()
        };
        Self {
            allows_any: origins.iter().any(is_any),
            origins,
            methods: joined(&source.allow_methods),
            headers: joined(&source.allow_headers),
            exposed: joined(&source.expose_headers),
            max_age: max_age.unwrap_or_default().into(),
            allows_credentials: source.allow_credentials,
            answers_unmatched_preflights: source.answers_unmatched_preflights,
            echoes_methods: echoes(&source.allow_methods),
            echoes_headers: echoes(&source.allow_headers),
        }
    }

    /// What the policy says of a request.
    pub(crate) fn request<H: Headers + ?Sized>(&self, request: &Request<'_, H>) -> Then {
        let origin = request.headers.value("origin");
        let Some(origin) = origin.filter(|origin| !origin.is_empty()) else {
            return Then::Continue;
        };
        let asked = |name| {
            let value = request.headers.value(name);
            value.filter(|value| !value.is_empty())
        };
        let is_preflight =
            request.method == "OPTIONS" && asked("access-control-request-method").is_some();
        let echoed = |echoes: bool, name| {
            let value = asked(name).filter(|_| echoes && is_preflight);
            value
                .filter(|value| is_list_of_tokens(value))
                .map(|value| value.into_owned().into())
        };
        let granted = self.allows(&origin).then(|| Granted {
            origin: (&*origin).into(),
            methods: echoed(self.echoes_methods, "access-control-request-method"),
            headers: echoed(self.echoes_headers, "access-control-request-headers"),
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
        let said = |echoes: bool, echoed: &'a Option<Box<[u8]>>, written: &'a str| match echoes {
            true => echoed.as_deref().unwrap_or_default(),
            false => written.as_bytes(),
        };
        let methods = said(self.echoes_methods, &granted.methods, &self.methods);
        let headers = said(self.echoes_headers, &granted.headers, &self.headers);
        let own = [
            ("access-control-allow-methods", methods),
            ("access-control-allow-headers", headers),
            ("access-control-max-age", self.max_age.as_bytes()),
        ];
        self.common_fields(granted).chain(present(own))
    }

    /// Fields of the answer to another request, in place of those of these names; `vary` beside
    /// others.
    pub fn response_fields<'a>(
        &'a self,
        granted: &'a Granted,
    ) -> impl Iterator<Item = (&'static str, &'a [u8])> {
        let own = [("access-control-expose-headers", self.exposed.as_bytes())];
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

/// Every method, or header.
const WILDCARD: &str = "*";

fn present<'a, const COUNT: usize>(
    fields: [(&'static str, &'a [u8]); COUNT],
) -> impl Iterator<Item = (&'static str, &'a [u8])> {
    let fields = fields.into_iter();
    fields.filter(|(_, value)| !value.is_empty())
}

/// What can be said back: names of methods or headers, with commas between.
fn is_list_of_tokens(value: &[u8]) -> bool {
    let mut bytes = value.iter();
    bytes.all(|byte| is_token_byte(*byte) || matches!(byte, b',' | b' ' | b'\t'))
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

    fn text(fields: &mut dyn Iterator<Item = (&'static str, &[u8])>) -> String {
        let fields = fields.map(|(name, value)| {
            let name = name.replace("access-control-", "");
            format!("{name}: {}", String::from_utf8_lossy(value))
        });
        fields.collect::<Vec<_>>().join("; ")
    }

    const ALLOWED: (&str, &str) = ("origin", "https://a.example");
    const REQUESTED: (&str, &str) = ("access-control-request-method", "PUT");

    #[test]
    fn requests() {
        let granted = |origin: &str| Granted {
            origin: origin.as_bytes().into(),
            methods: None,
            headers: None,
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
            methods: None,
            headers: None,
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

    /// `*` is written as it is, or stands for what is asked for.
    #[test]
    fn wildcards() {
        const HEADERS: &str = "access-control-request-headers";
        let any = |echoes: bool| {
            policy(|source| {
                source.allow_methods = vec!["*".to_owned()];
                source.allow_headers = vec!["*".to_owned(), "x-a".to_owned()];
                source.expose_headers = vec!["*".to_owned(), "x-b".to_owned()];
                source.max_age = None;
                source.wildcards_are_echoed = echoes;
            })
        };
        let common = "allow-origin: https://a.example; allow-credentials: true; vary: origin";
        let written = "allow-methods: *; allow-headers: *,x-a";
        for (echoes, asked, expected) in [
            (false, None, written),
            (false, Some("x-h1, x-q"), written),
            (
                true,
                Some("x-h1, x-q"),
                "allow-methods: PUT; allow-headers: x-h1, x-q",
            ),
            (true, None, "allow-methods: PUT"),
            (true, Some(""), "allow-methods: PUT"),
            (true, Some("x-h1; y"), "allow-methods: PUT"),
        ] {
            let cors = any(echoes);
            let asked = asked.map(|names| (HEADERS, names));
            let fields: Vec<_> = [ALLOWED, REQUESTED].into_iter().chain(asked).collect();
            let Then::Preflight(granted) = met(&cors, "OPTIONS", &fields) else {
                panic!("{fields:?} is a preflight");
            };
            let found = text(&mut cors.preflight_fields(&granted));
            assert_eq!(
                found,
                format!("{common}; {expected}"),
                "{echoes} {fields:?}"
            );
        }
        for (echoes, expected) in [(false, "*,x-b"), (true, "x-b")] {
            let cors = any(echoes);
            let Then::ContinueGranted(granted) = met(&cors, "GET", &[ALLOWED]) else {
                panic!("the origin is allowed");
            };
            let found = text(&mut cors.response_fields(&granted));
            assert_eq!(found, format!("{common}; expose-headers: {expected}"));
        }
    }
}
