//! Words that several commands have for the same.

use ringmain_config::retry::RetryOn;

/// What is worth another try, as rules write it: `5xx,retriable-status-codes,503`.
pub(super) fn retry_on(on: &[RetryOn], status_codes: &[u16]) -> String {
    let mut words: Vec<String> = on.iter().map(|on| word(*on)).collect();
    words.extend(status_codes.iter().map(u16::to_string));
    words.join(",")
}

/// As the Document writes it.
fn word(on: RetryOn) -> String {
    let value = serde_json::to_value(on).expect("a word is written as text");
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use ringmain_config::retry::RetryOn;

    use super::retry_on;

    #[test]
    fn words_and_statuses() {
        for (on, status_codes, expected) in [
            (&[][..], &[][..], ""),
            (&[RetryOn::ServerError], &[], "5xx"),
            (
                &[RetryOn::Retriable4xx, RetryOn::RetriableStatusCodes],
                &[503, 429],
                "retriable-4xx,retriable-status-codes,503,429",
            ),
        ] {
            assert_eq!(retry_on(on, status_codes), expected);
        }
    }
}
