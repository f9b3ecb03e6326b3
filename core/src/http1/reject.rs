//! Every reason for which a message is not HTTP/1.1 as we accept it.

/// Why a message was refused. The text of each is in [`Reject::reason`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reject {
    /// Request line that is not `method SP target SP version`.
    RequestLine,
    /// HTTP/1.0 where it is not accepted, HTTP/2 preface, or any other version.
    Version,
    /// Target longer than the limit.
    TargetTooLong,
    /// Head longer than the limit.
    HeadTooLarge,
    /// More header fields than the limit.
    TooManyHeaders,
    /// LF without CR, or CR without LF.
    BareLineEnd,
}

impl Reject {
    /// Status of the answer when a request is refused for it.
    pub fn status(self) -> u16 {
        match self {
            Self::RequestLine | Self::BareLineEnd => 400,
            Self::Version => 505,
            Self::TargetTooLong => 414,
            Self::HeadTooLarge | Self::TooManyHeaders => 431,
        }
    }

    /// For the log, in Envoy's manner: a word without spaces.
    pub fn reason(self) -> &'static str {
        match self {
            Self::RequestLine => "http1.request_line",
            Self::Version => "http1.version",
            Self::TargetTooLong => "http1.target_too_long",
            Self::HeadTooLarge => "http1.head_too_large",
            Self::TooManyHeaders => "http1.too_many_headers",
            Self::BareLineEnd => "http1.bare_line_end",
        }
    }
}
