//! Envoy's response flags, as sets: a request can have been delayed on purpose, have failed, and
//! have been tried as often as is allowed.

use std::{fmt, ops};

/// Envoy's response flags (`RESPONSE_FLAGS` of the access log, `response_flags` of the metrics), in
/// the order in which Envoy writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flag {
    /// No healthy upstream.
    Uh,
    /// Upstream request timeout.
    Ut,
    /// Upstream remote reset.
    Ur,
    /// Upstream connection failure.
    Uf,
    /// Upstream connection termination.
    Uc,
    /// Upstream overflow: a limit on connections, requests or further tries.
    Uo,
    /// No route.
    Nr,
    /// Delayed on purpose.
    Di,
    /// Aborted on purpose.
    Fi,
    /// Downstream connection termination.
    Dc,
    /// Upstream retry limit exceeded: as many tries as are allowed were made.
    Urx,
    /// Stream idle timeout.
    Si,
    /// Downstream protocol error.
    Dpe,
    /// Duration timeout: a connection or stream reached its greatest age.
    Dt,
    /// Upstream protocol error.
    Upe,
    /// No cluster.
    Nc,
}

impl Flag {
    /// Every one, in Envoy's order.
    pub const ALL: [Self; 16] = [
        Self::Uh,
        Self::Ut,
        Self::Ur,
        Self::Uf,
        Self::Uc,
        Self::Uo,
        Self::Nr,
        Self::Di,
        Self::Fi,
        Self::Dc,
        Self::Urx,
        Self::Si,
        Self::Dpe,
        Self::Dt,
        Self::Upe,
        Self::Nc,
    ];

    /// As in log and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uh => "UH",
            Self::Ut => "UT",
            Self::Ur => "UR",
            Self::Uf => "UF",
            Self::Uc => "UC",
            Self::Uo => "UO",
            Self::Nr => "NR",
            Self::Di => "DI",
            Self::Fi => "FI",
            Self::Dc => "DC",
            Self::Urx => "URX",
            Self::Si => "SI",
            Self::Dpe => "DPE",
            Self::Dt => "DT",
            Self::Upe => "UPE",
            Self::Nc => "NC",
        }
    }
}

/// Flags of one request or connection.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Flags(u16);

impl Flags {
    /// Nothing went wrong.
    pub const NONE: Self = Self(0);

    /// Those of `self`, and `flag`.
    #[must_use]
    pub const fn with(self, flag: Flag) -> Self {
        Self(self.0 | 1 << flag as u16)
    }

    /// Those of both.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Nothing went wrong.
    pub fn is_empty(self) -> bool {
        self == Self::NONE
    }

    /// `flag` is one of them.
    pub fn has(self, flag: Flag) -> bool {
        self.with(flag) == self
    }

    /// As in log and metrics: `UF,URX`; `-` for none.
    pub fn text(self) -> FlagsText {
        let mut text = FlagsText {
            bytes: [0; FLAGS_BYTES_MAX],
            length: 0,
        };
        for flag in Flag::ALL.into_iter().filter(|flag| self.has(*flag)) {
            if text.length > 0 {
                text.push(",");
            }
            text.push(flag.name());
        }
        if text.length == 0 {
            text.push("-");
        }
        text
    }
}

impl From<Flag> for Flags {
    fn from(flag: Flag) -> Self {
        Self::NONE.with(flag)
    }
}

impl ops::BitOr for Flags {
    type Output = Self;

    /// Those of both.
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text())
    }
}

/// What all flags need together, and more.
const FLAGS_BYTES_MAX: usize = 64;

/// Flags as text, without an allocation.
#[derive(Clone, Copy)]
pub struct FlagsText {
    bytes: [u8; FLAGS_BYTES_MAX],
    length: usize,
}

impl FlagsText {
    fn push(&mut self, text: &str) {
        let room = &mut self.bytes[self.length..][..text.len()];
        room.copy_from_slice(text.as_bytes());
        self.length += text.len();
    }
}

impl ops::Deref for FlagsText {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).expect("names are ASCII")
    }
}

#[cfg(test)]
mod tests {
    use super::{Flag, Flags};

    #[test]
    fn texts() {
        let flags = |flags: &[Flag]| {
            let flags = flags.iter();
            flags.fold(Flags::NONE, |flags, flag| flags.with(*flag))
        };
        for (set, expected) in [
            (flags(&[]), "-"),
            (flags(&[Flag::Uf]), "UF"),
            (flags(&[Flag::Urx, Flag::Uf]), "UF,URX"),
            (flags(&[Flag::Urx, Flag::Di, Flag::Uf]), "UF,DI,URX"),
            (flags(&[Flag::Fi, Flag::Di]), "DI,FI"),
            (
                flags(&Flag::ALL),
                "UH,UT,UR,UF,UC,UO,NR,DI,FI,DC,URX,SI,DPE,DT,UPE,NC",
            ),
        ] {
            assert_eq!(&*set.text(), expected);
        }
        for (position, flag) in Flag::ALL.into_iter().enumerate() {
            assert_eq!(position, flag as usize, "{flag:?}");
        }
        let both = Flags::from(Flag::Uf) | Flag::Urx.into();
        assert!(both.has(Flag::Uf) && both.has(Flag::Urx) && !both.has(Flag::Uc));
        assert!(Flags::NONE.is_empty() && !both.is_empty());
    }
}
