//! HTTP/1.1 read word by word from RFC 9112 and RFC 9110, without any of the code under test and
//! with no mercy: what this does not understand must not have been accepted.

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Nothing is said.
    None,
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
}

/// A head that was accepted, taken apart.
#[derive(Debug)]
pub(crate) struct Head<'a> {
    pub(crate) first_line: &'a [u8],
    pub(crate) fields: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Head<'a> {
    /// The lines of `bytes`, which end with the empty one.
    pub(crate) fn read(bytes: &'a [u8]) -> Self {
        let bytes = bytes
            .strip_suffix(b"\r\n\r\n")
            .expect("an empty line ends a head");
        let mut lines = split_lines(bytes).into_iter();
        let first_line = lines.next().expect("a first line");
        let fields = lines.map(field).collect();
        Self { first_line, fields }
    }

    /// All values of a name.
    pub(crate) fn values(&self, name: &str) -> Vec<&'a [u8]> {
        let is_named = |field: &&(&[u8], &[u8])| field.0.eq_ignore_ascii_case(name.as_bytes());
        self.fields
            .iter()
            .filter(is_named)
            .map(|field| field.1)
            .collect()
    }

    /// What its fields say of the body (RFC 9112 section 6).
    pub(crate) fn framing(&self) -> Framing {
        let lengths = self.values("content-length");
        let codings = self.values("transfer-encoding");
        if !codings.is_empty() {
            assert!(lengths.is_empty(), "both framings were accepted");
            let [coding] = codings[..] else {
                panic!("several transfer codings were accepted");
            };
            assert!(
                coding.eq_ignore_ascii_case(b"chunked"),
                "{}",
                coding.escape_ascii()
            );
            return Framing::Chunked;
        }
        let elements = lengths
            .iter()
            .flat_map(|value| value.split(|byte| *byte == b','));
        let mut numbers = elements.map(|element| number(trim(element)));
        let Some(first) = numbers.next() else {
            return Framing::None;
        };
        assert!(
            numbers.all(|number| number == first),
            "two lengths were accepted"
        );
        Framing::Length(first)
    }
}

fn split_lines(bytes: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut rest = bytes;
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        lines.push(&rest[..end]);
        rest = &rest[end + 2..];
    }
    lines.push(rest);
    for line in &lines {
        let is_control = |byte: &u8| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f;
        assert!(!line.iter().any(is_control), "{}", line.escape_ascii());
    }
    lines
}

fn field(line: &[u8]) -> (&[u8], &[u8]) {
    let colon = line.iter().position(|byte| *byte == b':').expect("a colon");
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    assert!(!name.is_empty(), "a name is missing");
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    assert!(name.iter().all(is_token), "{}", name.escape_ascii());
    (name, trim(value))
}

fn trim(value: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value
        .iter()
        .position(|byte| !is_space(byte))
        .unwrap_or(value.len());
    let end = value
        .iter()
        .rposition(|byte| !is_space(byte))
        .map_or(start, |end| end + 1);
    &value[start..end]
}

fn number(digits: &[u8]) -> u64 {
    assert!(
        !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        "a length of no digits"
    );
    std::str::from_utf8(digits)
        .unwrap()
        .parse()
        .expect("a length that fits")
}

/// A chunked body that is whole: its payload, its trailer section as it stands, and the bytes of
/// all of it. `None`: not whole, or not by the grammar (RFC 9112 section 7.1).
pub(crate) fn chunked(bytes: &[u8]) -> Option<(Vec<u8>, &[u8], usize)> {
    let mut payload = Vec::new();
    let mut position = 0;
    loop {
        let (line, start) = line_at(bytes, position)?;
        let digits = line.split(|byte| *byte == b';').next()?;
        if !(1..=16).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let size = u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        if size == 0 {
            position = start;
            break;
        }
        let end = start.checked_add(usize::try_from(size).ok()?)?;
        payload.extend_from_slice(bytes.get(start..end)?);
        if bytes.get(end..end.checked_add(2)?)? != b"\r\n" {
            return None;
        }
        position = end + 2;
    }
    let trailers_start = position;
    loop {
        let (line, next) = line_at(bytes, position)?;
        if line.is_empty() {
            return Some((payload, &bytes[trailers_start..position], next));
        }
        position = next;
    }
}

/// The line at `position` without its line end, and where the next one begins.
fn line_at(bytes: &[u8], position: usize) -> Option<(&[u8], usize)> {
    let rest = bytes.get(position..)?;
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let line = rest[..end].strip_suffix(b"\r")?;
    (!line.contains(&b'\r')).then_some((line, position + end + 1))
}
