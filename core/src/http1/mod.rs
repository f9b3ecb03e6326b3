//! HTTP/1.1 on buffers: heads and bodies in and out, strict about everything that two parsers could
//! read differently (RFC 9112).

pub mod reject;
