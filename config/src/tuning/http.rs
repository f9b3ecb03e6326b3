//! The words that keys of the table `http` can have.

/// What is made of a path before it is matched and sent on, in Istio's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PathNormalization {
    /// Nothing.
    None,
    /// Escapes of unreserved characters are undone, `\` becomes `/`, dot segments are removed.
    #[default]
    Base,
    /// As `Base`, and of neighbouring slashes only one is left.
    MergeSlashes,
    /// As `MergeSlashes`, after `%2F` and `%5C` were undone.
    DecodeAndMergeSlashes,
}

/// What is done with a path that holds `%2F` or `%5C`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum EscapedSlashes {
    /// Nothing.
    #[default]
    Keep,
    /// It is refused with 400.
    Reject,
    /// They are undone and the client is sent to what comes of it.
    UnescapeAndRedirect,
    /// They are undone and the request goes on.
    UnescapeAndForward,
}

/// What is done with fields whose name holds `_`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UnderscoresInHeaders {
    /// Nothing.
    #[default]
    Allow,
    /// The request is refused with 400.
    Reject,
    /// The fields are not sent on.
    Drop,
}

/// What a gateway does with `x-forwarded-client-cert` (Envoy's `forward_client_cert_details`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ForwardClientCert {
    /// It does not go on.
    Sanitize,
    /// It goes on where its client has shown a certificate.
    ForwardOnly,
    /// The client's certificate is added, where it has shown one.
    AppendForward,
    /// It says what the client has shown.
    #[default]
    SanitizeSet,
    /// It goes on as it came.
    AlwaysForwardOnly,
}

/// What becomes of the `Server` field of answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ServerHeader {
    /// Replaced.
    #[default]
    Overwrite,
    /// Written where the upstream wrote none.
    AppendIfAbsent,
    /// As the upstream wrote it, or absent.
    PassThrough,
}
