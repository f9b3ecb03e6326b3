//! Durations in the JSON form of Protocol Buffers (`"1.5s"`), so that a dump reads like Envoy's.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// Writes `duration` as decimal seconds with an `s`, without trailing zeros.
pub fn format(duration: Duration) -> String {
    let nanos = duration.subsec_nanos();
    if nanos == 0 {
        return format!("{}s", duration.as_secs());
    }
    let fraction = format!("{nanos:09}");
    format!("{}.{}s", duration.as_secs(), fraction.trim_end_matches('0'))
}

/// Reads what [`format()`] wrote. `None` for anything else.
pub fn parse(text: &str) -> Option<Duration> {
    let (whole, fraction) = match text.strip_suffix('s')?.split_once('.') {
        Some((whole, fraction)) => (whole, fraction),
        None => (text.strip_suffix('s')?, ""),
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || fraction.len() > 9 || !digits(whole) || !digits(fraction) {
        return None;
    }
    let nanos: u32 = if fraction.is_empty() {
        0
    } else {
        format!("{fraction:0<9}").parse().ok()?
    };
    Some(Duration::new(whole.parse().ok()?, nanos))
}

/// For `#[serde(with = "duration")]` on a `Duration`.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*duration))
}

/// For `#[serde(with = "duration")]` on a `Duration`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is not a duration like `1.5s`")))
}

/// For `#[serde(with = "duration::option")]` on an `Option<Duration>`.
pub mod option {
    use super::{Deserialize, Deserializer, Duration, Error, Serializer};

    /// Absent stays `null`.
    pub fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => serializer.serialize_some(&super::format(*duration)),
            None => serializer.serialize_none(),
        }
    }

    /// `null` is absent.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else {
            return Ok(None);
        };
        super::parse(&text)
            .map(Some)
            .ok_or_else(|| D::Error::custom(format!("`{text}` is not a duration like `1.5s`")))
    }
}

#[cfg(test)]
mod tests {
    use super::{format, parse};
    use std::time::Duration;

    #[test]
    fn text_and_back() {
        for (duration, text) in [
            (Duration::ZERO, "0s"),
            (Duration::from_secs(7), "7s"),
            (Duration::from_millis(1500), "1.5s"),
            (Duration::from_nanos(1), "0.000000001s"),
        ] {
            assert_eq!(format(duration), text);
            assert_eq!(parse(text), Some(duration));
        }
    }

    #[test]
    fn refuses_other_forms() {
        for text in [
            "",
            "s",
            "1",
            "1.s.s",
            "-1s",
            "1ms",
            ".5s",
            "1.0000000001s",
            "1e3s",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
