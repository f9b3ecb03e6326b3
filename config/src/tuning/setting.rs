//! The types that a key of `ringmain.toml` can have: how each is read and written.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use toml::{Spanned, de::DeValue};

use super::{
    AccessLog, EscapedSlashes, ForwardClientCert, Io, Level, PathNormalization, ServerHeader,
    UnderscoresInHeaders,
    read::{Report, a_type},
};
use crate::{node::GatewayScope, problem::nearest};

/// A type that a key can have.
pub(super) trait Setting: Sized {
    /// What a value looks like, in words for the reference.
    fn form() -> String;
    /// The value, or `None` after everything wrong with it was reported.
    fn read(value: &Spanned<DeValue<'_>>, report: &mut Report<'_>) -> Option<Self>;
    /// As TOML that [`Self::read`] takes.
    fn write(&self) -> String;
}

/// A type that is written as one string.
trait Text: Sized {
    fn form() -> String;
    /// `Err`: what to write instead.
    fn from_text(text: &str) -> Result<Self, String>;
    fn to_text(&self) -> String;
}

impl<T: Text> Setting for T {
    fn form() -> String {
        <T as Text>::form()
    }

    fn read(value: &Spanned<DeValue<'_>>, report: &mut Report<'_>) -> Option<Self> {
        let Some(text) = value.get_ref().as_str() else {
            wrong_type::<Self>(value, report);
            return None;
        };
        match Self::from_text(text) {
            Ok(read) => Some(read),
            Err(hint) => {
                let message = format!("{text:?} is not {}", <T as Text>::form());
                report.problem(value.span(), message, Some(hint));
                None
            }
        }
    }

    fn write(&self) -> String {
        quote(&self.to_text())
    }
}

impl Setting for bool {
    fn form() -> String {
        "`true` or `false`".to_owned()
    }

    fn read(value: &Spanned<DeValue<'_>>, report: &mut Report<'_>) -> Option<Self> {
        let read = value.get_ref().as_bool();
        if read.is_none() {
            wrong_type::<Self>(value, report);
        }
        read
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

macro_rules! integers {
    ($($Integer:ty),+) => {$(
        impl Setting for $Integer {
            fn form() -> String {
                "an integer".to_owned()
            }

            fn read(value: &Spanned<DeValue<'_>>, report: &mut Report<'_>) -> Option<Self> {
                let Some(integer) = value.get_ref().as_integer() else {
                    wrong_type::<Self>(value, report);
                    return None;
                };
                let read = Self::from_str_radix(integer.as_str(), integer.radix()).ok();
                if read.is_none() {
                    let permitted = report.permitted(format!("0 to {}", Self::MAX));
                    let message = format!("{integer} is not permitted");
                    report.problem(value.span(), message, Some(permitted));
                }
                read
            }

            fn write(&self) -> String {
                self.to_string()
            }
        }
    )+};
}
integers!(u16, u32, u64, usize);

impl<V: Setting> Setting for BTreeMap<String, V> {
    fn form() -> String {
        let value = V::form();
        let (_article, noun) = value.split_once(' ').unwrap_or(("", &value));
        format!("a table of {noun}s")
    }

    fn read(value: &Spanned<DeValue<'_>>, report: &mut Report<'_>) -> Option<Self> {
        let Some(table) = value.get_ref().as_table() else {
            wrong_type::<Self>(value, report);
            return None;
        };
        let mut read = Self::new();
        for (name, value) in table.iter() {
            let inner = report.within(name.get_ref(), |report| V::read(value, report));
            if let Some(inner) = inner {
                read.insert(name.get_ref().clone().into_owned(), inner);
            }
        }
        // One bad entry is reported; it must not also take the good ones' effect on other checks.
        Some(read)
    }

    fn write(&self) -> String {
        if self.is_empty() {
            return "{}".to_owned();
        }
        let entries: Vec<_> = self
            .iter()
            .map(|(name, value)| format!("{} = {}", quote(name), value.write()))
            .collect();
        format!("{{ {} }}", entries.join(", "))
    }
}

impl Text for String {
    fn form() -> String {
        "a string".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    fn to_text(&self) -> String {
        self.clone()
    }
}

impl Text for Duration {
    fn form() -> String {
        "a duration".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        duration(text).ok_or_else(|| {
            "write whole numbers with h, m, s or ms: `1h`, `1m30s`, `250ms`".to_owned()
        })
    }

    fn to_text(&self) -> String {
        let mut rest = self.as_millis();
        if rest == 0 {
            return "0s".to_owned();
        }
        let mut text = String::new();
        for (unit, millis) in DURATION_UNITS {
            if rest >= millis {
                text.push_str(&format!("{}{unit}", rest / millis));
                rest %= millis;
            }
        }
        text
    }
}

const DURATION_UNITS: [(&str, u128); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Reads `1h`, `1m30s`, `250ms`: whole numbers, units from great to small, each once at most.
fn duration(text: &str) -> Option<Duration> {
    let mut units = DURATION_UNITS.iter();
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit())?;
        let letters = rest[digits..]
            .find(|character: char| character.is_ascii_digit())
            .map_or(rest.len(), |length| digits + length);
        let number: u64 = rest[..digits].parse().ok()?;
        let (_, millis) = units.find(|(unit, _)| *unit == &rest[digits..letters])?;
        total = total.checked_add(number.checked_mul(u64::try_from(*millis).ok()?)?)?;
        rest = &rest[letters..];
    }
    (!text.is_empty()).then(|| Duration::from_millis(total))
}

impl Text for SocketAddr {
    fn form() -> String {
        "an address with port".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|_| "write it like `127.0.0.1:15000` or `[::1]:15000`".to_owned())
    }

    fn to_text(&self) -> String {
        self.to_string()
    }
}

impl Text for Option<IpAddr> {
    fn form() -> String {
        "an IP address or `\"\"`".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(None);
        }
        text.parse()
            .map(Some)
            .map_err(|_| "write it like `10.0.0.7` or `fd00::7`, without a port".to_owned())
    }

    fn to_text(&self) -> String {
        self.map_or_else(String::new, |address| address.to_string())
    }
}

impl Text for Option<PathBuf> {
    fn form() -> String {
        "a path or `\"\"`".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        Ok((!text.is_empty()).then(|| PathBuf::from(text)))
    }

    fn to_text(&self) -> String {
        self.as_ref()
            .map_or_else(String::new, |path| path.display().to_string())
    }
}

impl Text for AccessLog {
    fn form() -> String {
        "`\"off\"` or a path".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            "/dev/stdout" => Ok(Self::Stdout),
            "/dev/stderr" => Ok(Self::Stderr),
            // A bare word is a slip (`stdout`, `on`), and would silently become a file.
            path if path.contains('/') => Ok(Self::File(PathBuf::from(path))),
            word => Err(match nearest(word, ["off", "stdout", "stderr"]) {
                Some("off") => "write `off`".to_owned(),
                Some(stream) => format!("write `/dev/{stream}`"),
                None => format!("for a file in the working directory write `./{word}`"),
            }),
        }
    }

    fn to_text(&self) -> String {
        match self {
            Self::Off => "off".to_owned(),
            Self::Stdout => "/dev/stdout".to_owned(),
            Self::Stderr => "/dev/stderr".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }
}

/// Lists the words of an enum once.
macro_rules! words {
    ($Enum:ident { $($Variant:ident = $word:literal),+ }) => {
        impl Text for $Enum {
            fn form() -> String {
                one_of(&[$($word),+])
            }

            fn from_text(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$Variant),)+
                    _ => Err(match nearest(text, [$($word),+]) {
                        Some(word) => format!("did you mean {word:?}?"),
                        None => format!("write one of them"),
                    }),
                }
            }

            fn to_text(&self) -> String {
                match self {
                    $(Self::$Variant => $word.to_owned(),)+
                }
            }
        }
    };
}
words!(Io { Auto = "auto", Uring = "uring", UringCoop = "uring-coop", Epoll = "epoll" });
words!(PathNormalization {
    None = "none",
    Base = "base",
    MergeSlashes = "merge_slashes",
    DecodeAndMergeSlashes = "decode_and_merge_slashes"
});
words!(EscapedSlashes {
    Keep = "keep",
    Reject = "reject",
    UnescapeAndRedirect = "unescape_and_redirect",
    UnescapeAndForward = "unescape_and_forward"
});
words!(UnderscoresInHeaders { Allow = "allow", Reject = "reject", Drop = "drop" });
words!(ServerHeader {
    Overwrite = "overwrite",
    AppendIfAbsent = "append_if_absent",
    PassThrough = "pass_through"
});
words!(ForwardClientCert {
    Sanitize = "sanitize",
    ForwardOnly = "forward_only",
    AppendForward = "append_forward",
    SanitizeSet = "sanitize_set",
    AlwaysForwardOnly = "always_forward_only"
});
words!(GatewayScope { Selected = "selected", All = "all" });
words!(Level {
    Off = "off",
    Error = "error",
    Warn = "warn",
    Info = "info",
    Debug = "debug",
    Trace = "trace"
});

fn one_of(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word:?}`")).collect();
    let (last, others) = quoted.split_last().expect("an enum has words");
    format!("{} or {last}", others.join(", "))
}

fn wrong_type<T: Setting>(value: &Spanned<DeValue<'_>>, report: &mut Report<'_>) {
    let found = a_type(value.get_ref());
    report.problem(
        value.span(),
        format!("{found} stands where {} is expected", T::form()),
        None,
    );
}

/// A TOML basic string: it may stand for a key as well.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => {
                quoted.push_str(&format!("\\u{:04X}", u32::from(control)));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
