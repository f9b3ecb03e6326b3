//! Heads and trailers of HTTP/2, to and from HTTP/1 text.

mod outgoing;
mod properties;
mod requests;
mod responses;
mod trailers;

use http::{HeaderMap, HeaderName, HeaderValue};
use ringmain_core::http1::{Limits, Reject, RequestHead};

/// A map of fields, in their order.
fn fields(list: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in list {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("valid");
        map.append(
            name,
            HeaderValue::from_bytes(value.as_bytes()).expect("valid"),
        );
    }
    map
}

/// The fields of a map, in their order.
fn list(map: &HeaderMap) -> Vec<(String, String)> {
    map.iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            (name.as_str().to_owned(), value.into_owned())
        })
        .collect()
}

fn owned(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// What the decoder of HTTP/1 makes of a text.
fn decode(text: &[u8], limits: &Limits) -> Result<RequestHead, Reject> {
    let mut head = RequestHead::new();
    let length = head.decode(text, limits)?;
    assert_eq!(length, Some(text.len()), "{}", text.escape_ascii());
    Ok(head)
}
