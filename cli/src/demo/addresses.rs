//! A part of the loopback network for one run: 127.N.0.0/16 for the first N where all is free.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
};

use thiserror::Error;

/// Blocks that are tried. The first is the one the examples are written with.
const BLOCKS: std::ops::RangeInclusive<u8> = 10..=25;
/// Whoever listens here has the block: two runs that start together do not take the same.
const CLAIM: (u8, u16) = (254, 15999);

/// A block of addresses that no other run has.
#[derive(Debug)]
pub(super) struct Block {
    /// Second number of its addresses.
    pub(super) number: u8,
    /// Holds the block as long as it lives.
    _claim: TcpListener,
}

/// Why there is no block.
#[derive(Debug, Error)]
pub(super) enum NoBlock {
    /// Something listens there, most likely on all addresses at once.
    #[error(
        "port {} is taken at {} and in every other block of loopback addresses that was tried; see \
         who listens with `ss -ltnp 'sport = :{}'` and stop it{}",
        .0.port(), .0.ip(), .0.port(), remedy(.0.port(), *.1)
    )]
    Taken(SocketAddr, u16),
    /// All other blocks are in use by other demos.
    #[error("{} demos run on this host already: stop one", BLOCKS.count())]
    TooMany,
    /// The host has no loopback network as expected.
    #[error("cannot listen on {0}: {1}")]
    Refused(SocketAddr, io::Error),
}

fn remedy(port: u16, gateway_port: u16) -> &'static str {
    if port == gateway_port {
        ", or give the gateway another port with --gateway-port"
    } else {
        ""
    }
}

/// The first block in which nobody listens at any of `addresses`, which are host and port with the
/// block's number still to be filled in.
pub(super) fn claim(
    addresses: impl Fn(u8) -> Vec<SocketAddr>,
    gateway_port: u16,
) -> Result<Block, NoBlock> {
    let mut taken = None;
    for number in BLOCKS {
        let ip = IpAddr::V4(Ipv4Addr::new(127, number, 0, CLAIM.0));
        let Some(claim) = listen(SocketAddr::new(ip, CLAIM.1))? else {
            continue;
        };
        match first_taken(&addresses(number))? {
            Some(address) => taken = Some(address),
            None => {
                return Ok(Block {
                    number,
                    _claim: claim,
                });
            }
        }
    }
    Err(match taken {
        Some(address) => NoBlock::Taken(address, gateway_port),
        None => NoBlock::TooMany,
    })
}

fn first_taken(addresses: &[SocketAddr]) -> Result<Option<SocketAddr>, NoBlock> {
    for address in addresses {
        if listen(*address)?.is_none() {
            return Ok(Some(*address));
        }
    }
    Ok(None)
}

/// `None` when somebody else listens there.
fn listen(address: SocketAddr) -> Result<Option<TcpListener>, NoBlock> {
    match TcpListener::bind(address) {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(None),
        Err(error) => Err(NoBlock::Refused(address, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A port that is free everywhere, most likely: of no service, below the ephemeral ones.
    const PORT: u16 = 29_411;

    fn wanted(number: u8) -> Vec<SocketAddr> {
        vec![SocketAddr::from(([127, number, 0, 1], PORT))]
    }

    #[test]
    fn blocks_are_had_once_and_only_when_free() {
        let first = claim(wanted, PORT).unwrap();
        let second = claim(wanted, PORT).unwrap();
        assert_ne!(first.number, second.number);
        drop(second);
        let everywhere = TcpListener::bind(("0.0.0.0", PORT)).unwrap();
        let text = claim(wanted, PORT).unwrap_err().to_string();
        assert!(text.contains(&format!("port {PORT} is taken")), "{text}");
        assert!(text.contains("--gateway-port"), "{text}");
        let text = claim(wanted, 1).unwrap_err().to_string();
        assert!(!text.contains("--gateway-port"), "{text}");
        drop(everywhere);
    }
}
