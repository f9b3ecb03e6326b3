//! Every reason for which a message is not HTTP as we accept it. A message that came over HTTP/2 is
//! decoded as HTTP/1.1 text in the end (`crate::http2`), so most rules are about both.

/// Why a message was refused. One variant for each rule, so that the log names the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reject {
    /// First line that is not `method SP target SP version` (RFC 9112 section 3).
    RequestLine,
    /// Empty line before the request line, after the one that is tolerated (RFC 9112 section 2.2).
    EmptyLine,
    /// Method that is not a token (RFC 9110 section 9.1).
    Method,
    /// CONNECT: tunnels are not offered.
    Connect,
    /// HTTP/1.0 request, whatever its fields say: no chunks could be sent to it, and who speaks it
    /// disagrees with others about what keeps a connection open (RFC 9112 appendix C.2.2).
    LowVersion,
    /// A version that is neither HTTP/1.1 nor HTTP/1.0.
    Version,
    /// HTTP/2 connection preface where HTTP/1.1 is spoken (RFC 9113 section 3.4).
    Http2Preface,
    /// Target that is neither a path nor an `http` or `https` URI, or `*` without OPTIONS
    /// (RFC 9112 section 3.2).
    TargetForm,
    /// Target with a fragment, a control character, or a byte that is not ASCII.
    TargetByte,
    /// Target longer than the limit.
    TargetTooLong,
    /// Head longer than the limit.
    HeadTooLarge,
    /// More header fields than the limit.
    TooManyHeaders,
    /// LF without CR, or CR without LF, in a head, a chunk line or a trailer (RFC 9112 section
    /// 2.2).
    BareLineEnd,
    /// Field line that begins with white space: obsolete folding, or space before the first field
    /// (RFC 9112 sections 2.2 and 5.2).
    LineFolding,
    /// White space between field name and colon (RFC 9112 section 5.1).
    SpaceBeforeColon,
    /// Field name that is empty or not a token, or a line without a colon.
    HeaderName,
    /// Field name that holds `_`, where that is not allowed (`http.underscores_in_headers`).
    HeaderUnderscore,
    /// Control character in a field value (RFC 9110 section 5.5).
    HeaderValue,
    /// No Host (RFC 9112 section 3.2).
    HostMissing,
    /// More than one Host.
    HostRepeated,
    /// Host, or the target's authority, that is not `host` or `host:port` (RFC 3986 section 3.2).
    HostInvalid,
    /// Host and the target's authority differ (RFC 9112 section 3.2.2).
    HostMismatch,
    /// Content-Length that is not digits, or above 2^64 - 1.
    ContentLength,
    /// Several values of Content-Length that differ (RFC 9112 section 6.3).
    ContentLengthConflict,
    /// Both Transfer-Encoding and Content-Length (RFC 9112 section 6.3).
    LengthAndTransferEncoding,
    /// Transfer coding that is not supported: only `chunked` is (RFC 9112 section 6.1).
    TransferCoding,
    /// Transfer-Encoding with `chunked` not last, repeated, or with parameters, or with no token
    /// (RFC 9112 sections 6.3 and 7.1).
    TransferEncoding,
    /// Transfer-Encoding in an HTTP/1.0 message (RFC 9112 section 6.1).
    TransferEncodingVersion,
    /// Expectation other than `100-continue` (RFC 9110 section 10.1.1).
    Expectation,
    /// Connection option that is not a token, or more options than 32.
    ConnectionOption,
    /// Chunk size that is not 1 to 16 hexadecimal digits.
    ChunkSize,
    /// Chunk extension with a control character or a byte that is not ASCII.
    ChunkExtension,
    /// Chunk extensions longer than the limit.
    ChunkExtensionTooLong,
    /// Chunk data that is not followed by CRLF.
    ChunkEnd,
    /// Trailer line that is not a field.
    Trailer,
    /// Trailer section longer than the limit.
    TrailersTooLarge,
    /// Body longer than the limit.
    BodyTooLarge,
    /// First line of a response that is not `version SP status SP reason` (RFC 9112 section 4).
    StatusLine,
    /// More interim responses before the final one than 64.
    InterimHeads,
    /// 101 that nobody asked for, or that does not say what is spoken now; 101 over HTTP/2, which
    /// has none (RFC 9113 section 8.6).
    SwitchingProtocols,
    /// HTTP/2: scheme that is neither `http` nor `https`.
    Scheme,
    /// HTTP/2: field that is about one connection (RFC 9113 section 8.2.2).
    ConnectionField,
    /// HTTP/2: TE that says anything but `trailers` (RFC 9113 section 8.2.2).
    Te,
    /// HTTP/2: field value with white space around it (RFC 9113 section 8.2.1).
    HeaderSpace,
    /// HTTP/2: the message ends with its head although Content-Length is not 0 (RFC 9113 section
    /// 8.1.1).
    LengthAndEndStream,
    /// HTTP/2: CONNECT or extended CONNECT that says something of a body, or ends with its head
    /// (RFC 9110 section 9.3.6, RFC 8441 section 5).
    TunnelBody,
    /// HTTP/2: `:protocol` that is not a token (RFC 8441 section 4), and an upgrade that has none:
    /// of a request that is not a GET (RFC 8441 section 5).
    ExtendedConnect,
}

impl Reject {
    /// Status of the answer when a request is refused for it. A refused response becomes 502
    /// whatever the reason.
    pub fn status(self) -> u16 {
        match self {
            Self::RequestLine
            | Self::EmptyLine
            | Self::Method
            | Self::TargetForm
            | Self::TargetByte
            | Self::BareLineEnd
            | Self::LineFolding
            | Self::SpaceBeforeColon
            | Self::HeaderName
            | Self::HeaderUnderscore
            | Self::HeaderValue
            | Self::HostMissing
            | Self::HostRepeated
            | Self::HostInvalid
            | Self::HostMismatch
            | Self::ContentLength
            | Self::ContentLengthConflict
            | Self::LengthAndTransferEncoding
            | Self::TransferEncoding
            | Self::TransferEncodingVersion
            | Self::ConnectionOption
            | Self::ChunkSize
            | Self::ChunkExtension
            | Self::ChunkExtensionTooLong
            | Self::ChunkEnd
            | Self::Trailer
            | Self::Scheme
            | Self::ConnectionField
            | Self::Te
            | Self::HeaderSpace
            | Self::LengthAndEndStream
            | Self::TunnelBody
            | Self::ExtendedConnect => 400,
            Self::BodyTooLarge => 413,
            Self::TargetTooLong => 414,
            Self::Expectation => 417,
            Self::LowVersion => 426,
            Self::HeadTooLarge | Self::TooManyHeaders | Self::TrailersTooLarge => 431,
            Self::Connect | Self::TransferCoding => 501,
            Self::StatusLine | Self::InterimHeads | Self::SwitchingProtocols => 502,
            Self::Version | Self::Http2Preface => 505,
        }
    }

    /// For the log, in Envoy's manner: a word without spaces.
    pub fn reason(self) -> &'static str {
        match self {
            Self::RequestLine => "http1.request_line",
            Self::EmptyLine => "http1.empty_line",
            Self::Method => "http1.method",
            Self::Connect => "http1.connect",
            Self::LowVersion => "http1.low_version",
            Self::Version => "http1.version",
            Self::Http2Preface => "http1.http2_preface",
            Self::TargetForm => "http1.target_form",
            Self::TargetByte => "http1.target_byte",
            Self::TargetTooLong => "http1.target_too_long",
            Self::HeadTooLarge => "http1.head_too_large",
            Self::TooManyHeaders => "http1.too_many_headers",
            Self::BareLineEnd => "http1.bare_line_end",
            Self::LineFolding => "http1.line_folding",
            Self::SpaceBeforeColon => "http1.space_before_colon",
            Self::HeaderName => "http1.header_name",
            Self::HeaderUnderscore => "http1.header_underscore",
            Self::HeaderValue => "http1.header_value",
            Self::HostMissing => "http1.host_missing",
            Self::HostRepeated => "http1.host_repeated",
            Self::HostInvalid => "http1.host_invalid",
            Self::HostMismatch => "http1.host_mismatch",
            Self::ContentLength => "http1.content_length",
            Self::ContentLengthConflict => "http1.content_length_conflict",
            Self::LengthAndTransferEncoding => "http1.length_and_transfer_encoding",
            Self::TransferCoding => "http1.transfer_coding",
            Self::TransferEncoding => "http1.transfer_encoding",
            Self::TransferEncodingVersion => "http1.transfer_encoding_version",
            Self::Expectation => "http1.expectation",
            Self::ConnectionOption => "http1.connection_option",
            Self::ChunkSize => "http1.chunk_size",
            Self::ChunkExtension => "http1.chunk_extension",
            Self::ChunkExtensionTooLong => "http1.chunk_extension_too_long",
            Self::ChunkEnd => "http1.chunk_end",
            Self::Trailer => "http1.trailer",
            Self::TrailersTooLarge => "http1.trailers_too_large",
            Self::BodyTooLarge => "http1.body_too_large",
            Self::StatusLine => "http1.status_line",
            Self::InterimHeads => "http1.interim_heads",
            Self::SwitchingProtocols => "http1.switching_protocols",
            Self::Scheme => "http2.scheme",
            Self::ConnectionField => "http2.connection_field",
            Self::Te => "http2.te",
            Self::HeaderSpace => "http2.header_space",
            Self::LengthAndEndStream => "http2.length_and_end_stream",
            Self::TunnelBody => "http2.tunnel_body",
            Self::ExtendedConnect => "http2.extended_connect",
        }
    }
}
