//! Which cluster a TCP connection goes to.

use std::{fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::origin::Origin;

/// A match on connections and where they go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcpRoute {
    /// All of its conditions must hold.
    #[serde(rename = "match", default, skip_serializing_if = "TcpMatch::is_empty")]
    pub matches: TcpMatch,
    /// One is drawn by weight for each connection. Never empty; the weights' sum is never 0.
    pub destinations: Vec<TcpDestination>,
    /// Who asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// Conditions on a connection, all of which must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct TcpMatch {
    /// The address that the client connected to is in one of them. Empty: any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<Subnet>,
    /// The client's address is in one of them. Empty: any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Subnet>,
}

impl TcpMatch {
    /// Every connection matches.
    pub fn is_empty(&self) -> bool {
        self.destinations.is_empty() && self.sources.is_empty()
    }
}

/// A cluster and its share of connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcpDestination {
    /// Key of the Document's clusters.
    pub cluster: String,
    /// Relative to the sum of all weights of the route. 0 is never drawn.
    pub weight: u32,
}

/// Addresses that begin alike: `10.0.0.0/8`, or `10.1.2.3` for a single one. Bits behind the prefix
/// are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subnet {
    address: IpAddr,
    prefix_bits: u8,
}

/// Why a text is no [`Subnet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotSubnet;

impl Subnet {
    /// The addresses that begin with the first `prefix_bits` of `address`. `None` when it has not
    /// so many bits.
    pub fn new(address: IpAddr, prefix_bits: u8) -> Option<Self> {
        let address = match address {
            IpAddr::V4(own) if prefix_bits <= 32 => {
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix_bits));
                IpAddr::V4((own.to_bits() & mask.unwrap_or(0)).into())
            }
            IpAddr::V6(own) if prefix_bits <= 128 => {
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix_bits));
                IpAddr::V6((own.to_bits() & mask.unwrap_or(0)).into())
            }
            IpAddr::V4(_) | IpAddr::V6(_) => return None,
        };
        Some(Self {
            address,
            prefix_bits,
        })
    }

    /// `address` is one of them. An IPv4 address that is written as an IPv6 one (RFC 4291 section
    /// 2.5.5.2), as sockets for both show it, is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        Self::new(address.to_canonical(), self.prefix_bits) == Some(*self)
    }
}

impl From<IpAddr> for Subnet {
    /// The address alone.
    fn from(address: IpAddr) -> Self {
        let prefix_bits = if address.is_ipv4() { 32 } else { 128 };
        Self {
            address,
            prefix_bits,
        }
    }
}

impl FromStr for Subnet {
    type Err = NotSubnet;

    fn from_str(text: &str) -> Result<Self, NotSubnet> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NotSubnet)?;
        let Some(bits) = bits else {
            return Ok(address.into());
        };
        if bits.is_empty() || !bits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NotSubnet);
        }
        let bits = bits.parse().map_err(|_| NotSubnet)?;
        Self::new(address, bits).ok_or(NotSubnet)
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.address)?;
        if *self == Self::from(self.address) {
            return Ok(());
        }
        write!(formatter, "/{}", self.prefix_bits)
    }
}

impl Serialize for Subnet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Subnet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map_err(|NotSubnet| D::Error::custom(format!("`{text}` is not a subnet")))
    }
}

#[cfg(test)]
mod tests {
    use super::Subnet;

    #[test]
    fn text_and_back() {
        for (text, shown) in [
            ("10.0.0.0/8", Some("10.0.0.0/8")),
            ("10.1.2.3/8", Some("10.0.0.0/8")),
            ("10.1.2.3", Some("10.1.2.3")),
            ("10.1.2.3/32", Some("10.1.2.3")),
            ("0.0.0.0/0", Some("0.0.0.0/0")),
            ("::/0", Some("::/0")),
            ("fd00::1/8", Some("fd00::/8")),
            ("fd00::1", Some("fd00::1")),
            ("10.0.0.0/33", None),
            ("::/129", None),
            ("10.0.0.0/", None),
            ("10.0.0.0/+8", None),
            ("10.0.0/8", None),
            ("a", None),
            ("", None),
        ] {
            let subnet = text.parse::<Subnet>().ok();
            let found = subnet.map(|subnet| subnet.to_string());
            assert_eq!(found.as_deref(), shown, "{text}");
        }
    }

    #[test]
    fn addresses() {
        for (subnet, address, expected) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("10.0.0.0/8", "fd00::1", false),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "fd00::1", false),
            ("fd00::/9", "fd7f::1", true),
            ("fd00::/9", "fd80::1", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
        ] {
            let subnet: Subnet = subnet.parse().unwrap();
            assert_eq!(
                subnet.contains(address.parse().unwrap()),
                expected,
                "{subnet} {address}"
            );
        }
    }
}
