//! What the balancers share that send equal requests to the same endpoint: how keys and addresses
//! are hashed, the tables made of them, and who stands in for an excluded endpoint.
//!
//! A table is made once for each list of endpoints, where a Document is compiled, and shared by
//! all workers. The same addresses and weights make the same table in every process, so all
//! proxies send a key to the same endpoint.

use std::net::SocketAddr;

use ringmain_config::cluster::Balancer;
use xxhash_rust::xxh3::xxh3_64;

use super::{maglev::Maglev, ring_hash::Ring};
use crate::snapshot::Endpoint;

/// The hash of a key: the same in every process, on every machine and in every version (XXH3 with
/// 64 bits, seed 0).
pub fn hash(key: &[u8]) -> u64 {
    xxh3_64(key)
}

/// The hash of an endpoint's address, another one for each `number`.
pub(super) fn of_address(address: SocketAddr, number: u64) -> u64 {
    let mut bytes = [0; 26];
    let ip = match address.ip().to_canonical() {
        std::net::IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        std::net::IpAddr::V6(ip) => ip,
    };
    bytes[..16].copy_from_slice(&ip.octets());
    bytes[16..18].copy_from_slice(&address.port().to_be_bytes());
    bytes[18..].copy_from_slice(&number.to_be_bytes());
    hash(&bytes)
}

/// Where the endpoints of one list stand for hashes.
#[derive(Debug)]
pub(crate) enum HashTable {
    Ring(Ring),
    Maglev(Maglev),
}

/// Places that are looked at from a request's own on, while the endpoints there are excluded. With
/// nine of ten endpoints excluded, one request of 800 looks at all of them in vain.
const STEPS: usize = 64;

impl HashTable {
    /// `None` for balancers that look at no hash, and where there is nothing to choose.
    pub(crate) fn new(balancer: Balancer, endpoints: &[Endpoint]) -> Option<Self> {
        match balancer {
            Balancer::LeastRequest | Balancer::RoundRobin | Balancer::Random => None,
            _ if endpoints.len() <= 1 => None,
            Balancer::RingHash { entries_min } => {
                Some(Self::Ring(Ring::new(endpoints, entries_min)))
            }
            Balancer::Maglev { entries } => Some(Self::Maglev(Maglev::new(endpoints, entries))),
        }
    }

    /// The endpoint that `hash` belongs to, or the next one from there on that is not excluded:
    /// keys of an excluded endpoint spread over the others, and the others keep theirs. `None`
    /// when all `count` endpoints are excluded.
    pub(super) fn pick(
        &self,
        hash: u64,
        count: usize,
        is_excluded: &impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let found = match self {
            Self::Ring(ring) => first(ring.from(hash), is_excluded),
            Self::Maglev(maglev) => first(maglev.from(hash), is_excluded),
        };
        found.or_else(|| among_left(hash, count, is_excluded))
    }
}

fn first(
    places: impl Iterator<Item = usize>,
    is_excluded: &impl Fn(usize) -> bool,
) -> Option<usize> {
    let mut places = places.take(STEPS);
    places.find(|endpoint| !is_excluded(*endpoint))
}

/// Looks at every endpoint, twice: where nearly all are excluded, a table would be walked for long.
fn among_left(hash: u64, count: usize, is_excluded: &impl Fn(usize) -> bool) -> Option<usize> {
    let left = || (0..count).filter(|endpoint| !is_excluded(*endpoint));
    let count = left().count() as u64;
    let chosen = hash.checked_rem(count)?;
    left().nth(chosen as usize)
}

#[cfg(test)]
mod tests {
    use super::{hash, of_address};

    /// What is hashed so decides where clients of all proxies go: these numbers never change.
    #[test]
    fn hashes_stay_what_they_are() {
        assert_eq!(hash(b""), 0x2d06_8005_38d3_94c2);
        assert_eq!(hash(b"jason"), HASH_OF_JASON);
        let four = "127.0.0.1:80".parse().unwrap();
        let six = "[::ffff:127.0.0.1]:80".parse().unwrap();
        assert_eq!(of_address(four, 1), of_address(six, 1));
        assert_eq!(of_address(four, 1), HASH_OF_ADDRESS);
        assert_ne!(of_address(four, 1), of_address(four, 2));
    }

    const HASH_OF_JASON: u64 = 5474056706126158288;
    const HASH_OF_ADDRESS: u64 = 324795146512722656;
}
