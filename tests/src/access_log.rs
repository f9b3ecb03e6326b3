//! Lines of the access log, taken apart as a log shipper would: by Istio's default format.

/// One line. Fields as written: `-` where there is nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The line.
    pub text: String,
    /// All its fields, without brackets and quotes.
    fields: Vec<String>,
}

/// Names of the 24 fields in their order; method, path and protocol stand in one pair of quotes.
const NAMES: [&str; 24] = [
    "start_time",
    "method",
    "path",
    "protocol",
    "response_code",
    "response_flags",
    "response_code_details",
    "connection_termination_details",
    "upstream_transport_failure_reason",
    "bytes_received",
    "bytes_sent",
    "duration",
    "upstream_service_time",
    "x_forwarded_for",
    "user_agent",
    "request_id",
    "authority",
    "upstream_host",
    "upstream_cluster",
    "upstream_local_address",
    "downstream_local_address",
    "downstream_remote_address",
    "requested_server_name",
    "route_name",
];

impl Line {
    /// Takes a line apart; a panic when it has not exactly the fields of the format.
    pub fn parse(text: &str) -> Self {
        let mut fields = Vec::new();
        let mut rest = text;
        loop {
            let (field, behind) = match rest.as_bytes().first() {
                Some(b'[') => split(&rest[1..], ']'),
                Some(b'"') => split(&rest[1..], '"'),
                _ => match rest.find(' ') {
                    Some(end) => (&rest[..end], &rest[end..]),
                    None => (rest, ""),
                },
            };
            match fields.len() {
                1 => fields.extend(field.split(' ').map(str::to_owned)),
                _ => fields.push(field.to_owned()),
            }
            match behind.strip_prefix(' ') {
                Some(next) => rest = next,
                None => {
                    assert_eq!(behind, "", "{text:?}");
                    break;
                }
            }
        }
        assert_eq!(fields.len(), NAMES.len(), "{text:?}");
        Self {
            text: text.to_owned(),
            fields,
        }
    }

    /// A field by its name in Istio's documentation, in lower case.
    pub fn get(&self, name: &str) -> &str {
        let index = NAMES.iter().position(|other| *other == name);
        &self.fields[index.unwrap_or_else(|| panic!("there is no field {name:?}"))]
    }

    /// Status and flags, as a test compares them: `503 UF`.
    pub fn verdict(&self) -> String {
        format!(
            "{} {}",
            self.get("response_code"),
            self.get("response_flags")
        )
    }

    /// A field that is a number.
    pub fn number(&self, name: &str) -> u64 {
        let value = self.get(name);
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} is {value:?} in {}", self.text))
    }
}

fn split(text: &str, end: char) -> (&str, &str) {
    text.split_once(end)
        .unwrap_or_else(|| panic!("no {end:?} in {text:?}"))
}
