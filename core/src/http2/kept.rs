//! A request's head that was handed to HTTP/2, which keeps what it sends, and that may have to be
//! sent once more.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version, uri};

use super::send::is_ever_new;
use crate::http1::Known;

/// A copy of a head as [`request`](super::request) makes them, without its extensions. It is text:
/// a copy of a map has an allocation for each value, and hardly any copy is ever used.
#[derive(Clone, Debug, Default)]
pub struct KeptRequest(Vec<u8>);

impl KeptRequest {
    /// Copies it.
    pub fn of(head: &Request<()>) -> Self {
        let uri = head.uri();
        let parts: [&[u8]; 4] = [
            head.method().as_str().as_bytes(),
            uri.scheme_str().unwrap_or_default().as_bytes(),
            uri.authority().map_or("", |name| name.as_str()).as_bytes(),
            uri.path_and_query()
                .map_or("", |path| path.as_str())
                .as_bytes(),
        ];
        let fields = head.headers();
        let lengths = fields
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + 2);
        let total = lengths.sum::<usize>() + parts.iter().map(|part| part.len() + 1).sum::<usize>();
        // None of it has the ends of lines in it.
        let mut text = Vec::with_capacity(total);
        for part in parts {
            text.extend_from_slice(part);
            text.push(b'\n');
        }
        for (name, value) in fields {
            text.extend_from_slice(name.as_str().as_bytes());
            text.push(b':');
            text.extend_from_slice(value.as_bytes());
            text.push(b'\n');
        }
        Self(text)
    }

    /// It once more; `None` when nothing was kept.
    pub fn request(&self) -> Option<Request<()>> {
        let mut lines = self.0.split(|&byte| byte == b'\n');
        let mut part = || lines.next().filter(|part| !part.is_empty());
        let mut request = Request::new(());
        *request.method_mut() = Method::from_bytes(part()?).ok()?;
        let mut parts = uri::Parts::default();
        parts.scheme = part().and_then(|scheme| scheme.try_into().ok());
        parts.authority = part().and_then(|authority| authority.try_into().ok());
        parts.path_and_query = part().and_then(|path| path.try_into().ok());
        *request.uri_mut() = Uri::from_parts(parts).ok()?;
        *request.version_mut() = Version::HTTP_2;
        *request.headers_mut() = fields(lines);
        Some(request)
    }
}

fn fields<'a>(lines: impl Iterator<Item = &'a [u8]>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for line in lines {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            continue;
        };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        let known = Known::of(name);
        let names = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value));
        if let (Ok(name), Ok(mut value)) = names {
            value.set_sensitive(is_ever_new(known));
            let appended = map.try_append(name, value);
            debug_assert!(appended.is_ok(), "it was a map before");
        }
    }
    map
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Method, Request, Version};

    use super::KeptRequest;

    #[test]
    fn what_was_kept_is_what_was_sent() {
        for (method, target) in [
            (Method::GET, "http://books.example:8080/a%20b?c=d:e"),
            (Method::CONNECT, "https://books.example/chat"),
            (Method::OPTIONS, "http://books.example/"),
        ] {
            let mut head = Request::builder()
                .method(method)
                .uri(target)
                .version(Version::HTTP_2)
                .header("cookie", "a=b: c")
                .header("x-twice", "")
                .header("x-twice", &b"\xff \t:"[..])
                .body(())
                .expect("a request");
            let mut id = HeaderValue::from_static("1");
            id.set_sensitive(true);
            head.headers_mut().insert("x-request-id", id);
            let again = KeptRequest::of(&head).request().expect("it was kept");
            assert_eq!(format!("{again:?}"), format!("{head:?}"));
            assert_eq!(again.headers(), head.headers());
        }
        assert!(KeptRequest::default().request().is_none());
    }
}
