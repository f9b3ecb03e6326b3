//! What single arguments of `ringmain load` mean.

use std::time::Duration;

/// Where requests go: a URL with what its scheme says beyond how to connect.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Goal {
    pub(super) weight: u32,
    /// As written, without the weight.
    pub(super) name: String,
    pub(super) protocol: Protocol,
    /// With the scheme of what is below the protocol.
    pub(super) url: ringmain_loadgen::Url,
}

/// What a scheme says is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http,
    Grpc,
    WebSocket,
    Echo,
    Stream,
}

/// Schemes of the command line, and what they are called below.
const SCHEMES: [(&str, Protocol, &str); 10] = [
    ("http", Protocol::Http, "http"),
    ("https", Protocol::Http, "https"),
    ("grpc", Protocol::Grpc, "http"),
    ("grpcs", Protocol::Grpc, "https"),
    ("ws", Protocol::WebSocket, "ws"),
    ("wss", Protocol::WebSocket, "wss"),
    ("tcp-echo", Protocol::Echo, "tcp"),
    ("tls-echo", Protocol::Echo, "tls"),
    ("tcp-stream", Protocol::Stream, "tcp"),
    ("tls-stream", Protocol::Stream, "tls"),
];

/// `[WEIGHT@]URL`. No scheme begins with a digit (RFC 3986 section 3.1), so a weight cannot be
/// taken for a part of the URL.
pub(super) fn goal(text: &str) -> Result<Goal, String> {
    let (weight, name) = match text.split_once('@') {
        Some((weight, url)) if weight.bytes().all(|byte| byte.is_ascii_digit()) => {
            let weight = weight.parse().ok().filter(|weight| *weight > 0);
            let weight = weight.ok_or("its weight is not a number from 1 to 4294967295")?;
            (weight, url)
        }
        _ => (1, text),
    };
    let (scheme, rest) = name
        .split_once("://")
        .ok_or("it has no scheme; begin it with http://, for example")?;
    let known = SCHEMES
        .iter()
        .find(|(known, _, _)| known.eq_ignore_ascii_case(scheme));
    let Some((_, protocol, below)) = known else {
        let schemes: Vec<_> = SCHEMES.iter().map(|(scheme, _, _)| *scheme).collect();
        return Err(format!("its scheme is none of {}", schemes.join(", ")));
    };
    let url = format!("{below}://{rest}");
    let url = url.parse().map_err(|error| match error {
        // The URL stands before the reason already, as it was written.
        ringmain_loadgen::PlanError::Url { reason, .. } => reason.to_owned(),
        other => other.to_string(),
    })?;
    Ok(Goal {
        weight,
        name: name.to_owned(),
        protocol: *protocol,
        url,
    })
}

/// `500`, `20k`, `1.5M`: a number above 0.
pub(super) fn rate(text: &str) -> Result<f64, String> {
    let (digits, factor) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1e3),
        None => match text.strip_suffix('M') {
            Some(digits) => (digits, 1e6),
            None => (text, 1.0),
        },
    };
    let rate = decimal(digits).map(|number| number * factor);
    let rate = rate.filter(|rate| *rate > 0.0 && rate.is_finite());
    rate.ok_or_else(|| "give a number above 0, such as 500, 20k or 1.5M".to_owned())
}

/// `5ms`, `1m30s`.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write 500us, 5ms, 30s or 1m30s"))
}

/// `100`, `64KiB`, `1MiB`: up to 1 GiB.
pub(super) fn size(text: &str) -> Result<usize, String> {
    const UNITS: [(&str, u64); 7] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("B", 1),
    ];
    const SIZE_MAX: u64 = 1 << 30;
    let unit = UNITS
        .iter()
        .find_map(|(name, factor)| Some((text.strip_suffix(name)?, *factor)));
    let (digits, factor) = unit.unwrap_or((text, 1));
    let number: Option<u64> = digits.trim_end().parse().ok();
    let bytes = number.and_then(|number| number.checked_mul(factor));
    let bytes = bytes.filter(|bytes| *bytes <= SIZE_MAX);
    bytes
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or_else(|| "give a size up to 1GiB, such as 100, 64KiB or 1MiB".to_owned())
}

/// Failed requests that are tolerated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Budget {
    Count(u64),
    /// From 0 to 1.
    Share(f64),
}

/// `0`, `12`, `0.1%`.
pub(super) fn budget(text: &str) -> Result<Budget, String> {
    let budget = match text.strip_suffix('%') {
        Some(digits) => decimal(digits)
            .filter(|percent| *percent <= 100.0)
            .map(|percent| Budget::Share(percent / 100.0)),
        None => text.parse().ok().map(Budget::Count),
    };
    budget
        .ok_or_else(|| "give a number of requests or a share of them, such as 0 or 0.1%".to_owned())
}

/// `name: value`, as curl has it.
pub(super) fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or("it has no colon; write `name: value`")?;
    Ok((name.to_owned(), value.trim().to_owned()))
}

/// Digits with at most one point: no sign, no exponent, no infinity.
fn decimal(digits: &str) -> Option<f64> {
    let plain = digits
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    digits.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals() {
        for (text, weight, name, protocol, url) in [
            (
                "http://a/b?c=d@e",
                1,
                "http://a/b?c=d@e",
                Protocol::Http,
                "http://a/b?c=d@e",
            ),
            ("9@http://a/", 9, "http://a/", Protocol::Http, "http://a/"),
            ("HTTPS://a", 1, "HTTPS://a", Protocol::Http, "https://a/"),
            (
                "grpc://a:1/s/m",
                1,
                "grpc://a:1/s/m",
                Protocol::Grpc,
                "http://a:1/s/m",
            ),
            (
                "2@grpcs://a/s/m",
                2,
                "grpcs://a/s/m",
                Protocol::Grpc,
                "https://a/s/m",
            ),
            (
                "wss://a/x",
                1,
                "wss://a/x",
                Protocol::WebSocket,
                "wss://a/x",
            ),
            (
                "tcp-echo://a:7",
                1,
                "tcp-echo://a:7",
                Protocol::Echo,
                "tcp://a:7",
            ),
            (
                "tls-stream://a:7",
                1,
                "tls-stream://a:7",
                Protocol::Stream,
                "tls://a:7",
            ),
        ] {
            let goal = goal(text).unwrap();
            assert_eq!(
                (goal.weight, goal.name.as_str(), goal.protocol),
                (weight, name, protocol),
                "{text}"
            );
            assert_eq!(goal.url.to_string(), url, "{text}");
        }
    }

    #[test]
    fn no_goals() {
        for (text, part) in [
            ("localhost:8080", "no scheme"),
            (
                "ftp://a/",
                "none of http, https, grpc, grpcs, ws, wss, tcp-echo",
            ),
            ("tcp://a:1", "none of http"),
            ("0@http://a/", "weight"),
            ("99999999999@http://a/", "weight"),
            ("@http://a/", "weight"),
            ("http://u:p@a/", "authorization"),
            ("http://a b/", "percent-encode"),
            ("tcp-echo://a", "port"),
        ] {
            let error = goal(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn rates() {
        for (text, expected) in [
            ("500", 500.0),
            ("20k", 20_000.0),
            ("1.5M", 1.5e6),
            ("0.5", 0.5),
        ] {
            assert_eq!(rate(text), Ok(expected), "{text}");
        }
        for text in [
            "", "k", "0", "-1", "1e3", "inf", "NaN", "1G", "1.2.3", "1 k",
        ] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("0", 0),
            ("100", 100),
            ("100B", 100),
            ("64KiB", 65_536),
            ("64 KiB", 65_536),
            ("2kB", 2000),
            ("1MiB", 1 << 20),
            ("1GiB", 1 << 30),
        ] {
            assert_eq!(size(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "KiB",
            "-1",
            "1.5KiB",
            "2GiB",
            "99999999999999999999",
            "1K",
        ] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn budgets() {
        for (text, expected) in [
            ("0", Budget::Count(0)),
            ("12", Budget::Count(12)),
            ("0%", Budget::Share(0.0)),
            ("2.5%", Budget::Share(0.025)),
        ] {
            assert_eq!(budget(text), Ok(expected), "{text}");
        }
        for text in ["", "%", "-1", "1.5", "101%", "few"] {
            assert!(budget(text).is_err(), "{text}");
        }
    }

    #[test]
    fn headers() {
        let field = |name: &str, value: &str| Ok((name.to_owned(), value.to_owned()));
        assert_eq!(header("a: b: c"), field("a", "b: c"));
        assert_eq!(header("a:"), field("a", ""));
        assert!(header("a").is_err());
    }

    #[test]
    fn times() {
        assert_eq!(time("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(time("500us"), Ok(Duration::from_micros(500)));
        assert!(time("5").unwrap_err().contains("write 500us"));
    }
}
