//! How many times a request may still be passed on (`max-forwards`): what its sender asks about is
//! the way to the origin, proxies included (RFC 9110 section 7.6.2).

/// What a request says of the proxies behind this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hops {
    /// Nothing that has to be heeded.
    Any,
    /// It may be passed on, and so many times again.
    Left(u64),
    /// It is meant for this proxy, and is to be answered here with this status.
    End(u16),
}

impl Hops {
    /// Of a request of this method whose `max-forwards` has this value. Only for OPTIONS and TRACE
    /// does the field mean anything; a value that is no number says nothing. OPTIONS is answered
    /// that all is well; TRACE asks to have its fields sent back, credentials of others included,
    /// which nobody here does.
    pub fn of(method: &str, value: Option<&[u8]>) -> Self {
        let end = match method {
            "OPTIONS" => 200,
            "TRACE" => 501,
            _ => return Self::Any,
        };
        let number = value.and_then(number);
        match number.map(|number| number.checked_sub(1)) {
            None => Self::Any,
            Some(None) => Self::End(end),
            Some(Some(left)) => Self::Left(left),
        }
    }
}

/// Digits; a number that does not fit becomes the largest that does.
fn number(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let digits = is_number.then_some(digits)?.iter();
    Some(digits.fold(0, |number: u64, digit| {
        let number = number.saturating_mul(10);
        number.saturating_add(u64::from(digit - b'0'))
    }))
}

#[cfg(test)]
mod tests {
    use super::Hops;

    #[test]
    fn what_is_left() {
        for (method, value, expected) in [
            ("OPTIONS", Some("0"), Hops::End(200)),
            ("TRACE", Some("000"), Hops::End(501)),
            ("OPTIONS", Some("1"), Hops::Left(0)),
            ("TRACE", Some("10"), Hops::Left(9)),
            ("TRACE", None, Hops::Any),
            ("GET", Some("0"), Hops::Any),
            ("options", Some("0"), Hops::Any),
            ("OPTIONS", Some(""), Hops::Any),
            ("OPTIONS", Some("-1"), Hops::Any),
            ("OPTIONS", Some("1, 0"), Hops::Any),
            (
                "OPTIONS",
                Some("99999999999999999999"),
                Hops::Left(u64::MAX - 1),
            ),
        ] {
            let found = Hops::of(method, value.map(str::as_bytes));
            assert_eq!(found, expected, "{method} {value:?}");
        }
    }
}
