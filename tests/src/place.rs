//! Addresses that no other test uses, running now or at the same time in another process.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    sync::atomic::{AtomicU8, Ordering},
};

/// A loopback address of the caller's own: the whole of 127.0.0.0/8 answers on Linux. It follows
/// from the process id and a counter.
pub fn address() -> IpAddr {
    static COUNTER: AtomicU8 = AtomicU8::new(0);
    let [.., high, low] = std::process::id().to_be_bytes();
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    Ipv4Addr::new(127, 1 + count % 250, high, low.clamp(1, 254)).into()
}

/// A port that is free at `address`, which nobody else uses.
pub fn free(address: IpAddr) -> SocketAddr {
    let listener = TcpListener::bind((address, 0)).unwrap();
    listener.local_addr().unwrap()
}
