//! What the metrics of a request say of its protocol. The number of values is bounded, whatever a
//! server says: each is a series of its own.

use crate::grpc;

/// `request_protocol` of a request, and `grpc_response_status` if it is of gRPC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RequestProtocol(u8);

impl RequestProtocol {
    /// Not of gRPC.
    pub const HTTP: Self = Self(0);
    /// Of gRPC, and nothing was told of its status.
    pub const GRPC: Self = Self(1);
    const OTHER: Self = Self(2);
    const FIRST: u8 = 3;

    /// Of gRPC, with this `grpc-status`. Numbers that have no name are one: peers invent them.
    pub fn told(status: u32) -> Self {
        match u8::try_from(status) {
            Ok(status @ 0..=grpc::STATUS_MAX) => Self(Self::FIRST + status),
            Ok(_) | Err(_) => Self::OTHER,
        }
    }

    /// Once it has ended: where nothing was told, what a client makes of the HTTP status of the
    /// answer; still nothing when there was none (0).
    #[must_use]
    pub fn ended(self, http_status: u16) -> Self {
        match (self, http_status) {
            (Self::GRPC, 1..) => Self::told(grpc::status_without_trailers(http_status).into()),
            _ => self,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::HTTP => "http",
            _ => "grpc",
        }
    }

    pub(super) fn status(self) -> &'static str {
        const TEXTS: [&str; RequestProtocol::FIRST as usize + grpc::STATUS_MAX as usize + 1] = [
            "", "", "other", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12",
            "13", "14", "15", "16",
        ];
        TEXTS[usize::from(self.0)]
    }
}
