//! Numbers as people read them: three digits that count, and the unit beside them.
//!
//! For tables, pages and messages only. What programs read is never rounded here.

/// A time span of `micros` microseconds: `421us`, `1.84ms`, `12.3s`.
pub fn micros(micros: f64) -> String {
    let magnitude = micros.abs();
    // The limits are where three digits round up to the next unit.
    if magnitude < 999.5 {
        if micros.fract() == 0.0 {
            format!("{micros:.0}us")
        } else {
            format!("{}us", digits(micros))
        }
    } else if magnitude < 999_500.0 {
        format!("{}ms", digits(micros / 1e3))
    } else {
        format!("{}s", digits(micros / 1e6))
    }
}

/// `count` per second: whole from 100 on.
pub fn rate(count: f64) -> String {
    if count.abs() >= 99.95 || count == 0.0 {
        format!("{count:.0}")
    } else {
        digits(count)
    }
}

/// An amount of bytes in binary units: `812 B`, `1.50 MiB`.
pub fn bytes(count: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut rest = count;
    let mut unit = 0;
    while rest.abs() >= 999.5 && unit + 1 < units.len() {
        rest /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{rest:.0} B")
    } else {
        format!("{} {}", digits(rest), units[unit])
    }
}

/// A share as a percentage: `0%`, `0.0123%`, `12.5%`, `100%`.
pub fn share(share: f64) -> String {
    let percent = share * 100.0;
    if percent.fract() == 0.0 {
        format!("{percent:.0}%")
    } else {
        format!("{}%", digits(percent))
    }
}

/// Seconds as given or measured: `30s`, `12.4s`.
pub fn seconds(seconds: f64) -> String {
    let tenths = (seconds * 10.0).round() / 10.0;
    if tenths == 0.0 && seconds > 0.0 {
        micros(seconds * 1e6)
    } else if tenths.fract() == 0.0 {
        format!("{tenths:.0}s")
    } else {
        format!("{tenths:.1}s")
    }
}

/// Three digits that count, and never an exponent.
fn digits(number: f64) -> String {
    let magnitude = number.abs();
    let decimals = if magnitude >= 99.95 {
        0
    } else if magnitude >= 9.995 {
        1
    } else if magnitude >= 0.9995 || magnitude == 0.0 {
        2
    } else {
        // 0.0123: as many zeros as there are, then three digits.
        (2 - magnitude.log10().floor() as i32).clamp(0, 12)
    };
    let decimals = usize::try_from(decimals).unwrap_or_default();
    format!("{number:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_spans() {
        check(
            micros,
            &[
                (0.0, "0us"),
                (1.0, "1us"),
                (87.4, "87.4us"),
                (999.0, "999us"),
                (1000.0, "1.00ms"),
                (1844.0, "1.84ms"),
                (12_345.0, "12.3ms"),
                (999_499.0, "999ms"),
                (999_600.0, "1.00s"),
                (61_250_000.0, "61.2s"),
                (-1844.0, "-1.84ms"),
            ],
        );
    }

    #[test]
    fn rates() {
        check(
            rate,
            &[
                (0.0, "0"),
                (0.5, "0.500"),
                (12.34, "12.3"),
                (99.96, "100"),
                (20_000.4, "20000"),
            ],
        );
    }

    #[test]
    fn amounts() {
        check(
            bytes,
            &[
                (0.0, "0 B"),
                (999.0, "999 B"),
                (1024.0, "1.00 KiB"),
                (65_536.0, "64.0 KiB"),
                (1_572_864.0, "1.50 MiB"),
                (1e18, "909495 TiB"),
            ],
        );
    }

    #[test]
    fn shares() {
        check(
            share,
            &[
                (0.0, "0%"),
                (0.000_123, "0.0123%"),
                (0.125, "12.5%"),
                (1.0, "100%"),
            ],
        );
    }

    #[test]
    fn spans_of_seconds() {
        check(
            seconds,
            &[
                (0.0, "0s"),
                (0.002, "2.00ms"),
                (30.0, "30s"),
                (30.004, "30s"),
                (12.44, "12.4s"),
            ],
        );
    }

    fn check(write: fn(f64) -> String, cases: &[(f64, &str)]) {
        for &(number, expected) in cases {
            assert_eq!(write(number), expected, "{number}");
        }
    }
}
