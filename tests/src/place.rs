//! Addresses that no other test uses, running now or at the same time in another process.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    sync::{
        Mutex,
        atomic::{AtomicU8, AtomicU16, Ordering},
    },
};

/// A loopback address of the caller's own: the whole of 127.0.0.0/8 answers on Linux. It follows
/// from the process id and a counter.
pub fn address() -> IpAddr {
    static COUNTER: AtomicU8 = AtomicU8::new(0);
    let [.., high, low] = std::process::id().to_be_bytes();
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    Ipv4Addr::new(127, 1 + count % 250, high, low.clamp(1, 254)).into()
}

/// A port that is free at `address`, which nobody else uses, and that was not given out before: the
/// kernel may choose the same one twice.
pub fn free(address: IpAddr) -> SocketAddr {
    static GIVEN: Mutex<BTreeSet<SocketAddr>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().unwrap();
    loop {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let place = listener.local_addr().unwrap();
        if given.insert(place) {
            return place;
        }
    }
}

/// A port that is free at every address. It lies below those that the kernel gives to clients, one
/// of which would be in the way of a socket that is bound to all addresses.
pub fn free_everywhere() -> u16 {
    static COUNTER: AtomicU16 = AtomicU16::new(0);
    let own = u16::try_from(std::process::id() % 5_000).unwrap();
    let start = own + COUNTER.fetch_add(100, Ordering::Relaxed) % 5_000;
    let ports = (0..10_000).map(|offset| 20_000 + (start + offset) % 10_000);
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok();
    ports.into_iter().find(is_free).expect("a free port")
}
