//! Dates of the calendar, from numbers of days or seconds. The clock is an argument.

/// Bytes of a [`http_date`].
pub const HTTP_DATE_BYTES: usize = 29;

/// The value of a `Date` field, in UTC (IMF-fixdate, RFC 9110 section 5.6.7):
/// `Mon, 23 Nov 2026 19:48:36 GMT`. Later than the year 9999 is its last second.
pub fn http_date(unix_seconds: u64) -> [u8; HTTP_DATE_BYTES] {
    let unix_seconds = unix_seconds.min(LAST_SECOND);
    let (days, seconds) = (unix_seconds / 86_400, unix_seconds % 86_400);
    let (year, month, day) = civil_date(days);
    let mut text = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    let weekday = &WEEKDAYS[(days % 7) as usize];
    text[..weekday.len()].copy_from_slice(weekday);
    let month = &MONTHS[(month - 1) as usize];
    text[8..8 + month.len()].copy_from_slice(month);
    put_number(&mut text[5..7], day);
    put_number(&mut text[12..16], year);
    put_number(&mut text[17..19], seconds / 3600);
    put_number(&mut text[20..22], seconds / 60 % 60);
    put_number(&mut text[23..25], seconds % 60);
    text
}

/// Writes a number over all of `digits`, with zeros before it.
pub(crate) fn put_number(digits: &mut [u8], mut number: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Year, month and day of a number of days since 1970-01-01 in the proleptic Gregorian calendar.
/// Years are counted from 1 March, so that the leap day is a year's last and an era of 400 years
/// always has 146097 days.
pub(crate) fn civil_date(days: u64) -> (u64, u64, u64) {
    /// Days from 0000-03-01 to 1970-01-01.
    const EPOCH: u64 = 719_468;
    let days = days + EPOCH;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

/// Of the year 9999: behind it a year has five digits.
pub(crate) const LAST_SECOND: u64 = 253_402_300_799;

/// From that of 1970-01-01.
const WEEKDAYS: [[u8; 3]; 7] = [
    *b"Thu", *b"Fri", *b"Sat", *b"Sun", *b"Mon", *b"Tue", *b"Wed",
];

const MONTHS: [[u8; 3]; 12] = [
    *b"Jan", *b"Feb", *b"Mar", *b"Apr", *b"May", *b"Jun", *b"Jul", *b"Aug", *b"Sep", *b"Oct",
    *b"Nov", *b"Dec",
];

#[cfg(test)]
mod tests {
    use super::http_date;

    #[test]
    fn dates_of_http() {
        for (unix_seconds, expected) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            // The example of RFC 9110 section 5.6.7.
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_795_463_316, "Mon, 23 Nov 2026 19:48:36 GMT"),
            (1_798_761_599, "Thu, 31 Dec 2026 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(http_date(unix_seconds), *expected.as_bytes(), "{expected}");
        }
    }
}
