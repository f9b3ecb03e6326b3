//! What the end-to-end scenarios in `tests/tests` are written with.
//!
//! A scenario drives the built binary, `ringmain`, from outside: a [`mesh::Mesh`] is a control
//! plane and a proxy in processes of their own, an [`origin::Origin`] a scripted server that keeps
//! the very bytes it received, a [`client::Client`] a socket that sends and reads what it is told
//! to. [`curl`] and [`nginx`] are peers that we did not write. Nothing waits by sleeping:
//! everything waits for a state that can be observed, until a deadline ([`wait`]), and then says
//! what it saw.
//!
//! Each test has a loopback address of its own ([`place`]), so tests run side by side. Every
//! scenario runs under io_uring and under epoll ([`on_both`]).

#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a harness that cannot go on is to stop the test"
)]

pub mod access_log;
pub mod admin;
pub mod binary;
pub mod certificates;
pub mod client;
pub mod curl;
pub mod documents;
pub mod http2;
pub mod load;
pub mod mesh;
pub mod message;
pub mod metrics;
pub mod nghttp2;
pub mod nginx;
pub mod noise;
pub mod origin;
pub mod place;
pub mod process;
pub mod proxy;
pub mod python;
pub mod rung;
pub mod shop;
pub mod sidecars;
pub mod upgrade;
pub mod wait;
pub mod yaml;

pub use self::rung::Io;

/// Makes a test of each named function `fn(Io)` under io_uring, and another under epoll.
#[macro_export]
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod uring {
            $(#[test]
            fn $name() {
                if $crate::rung::is_usable() {
                    super::$name($crate::Io::Uring);
                }
            })+
        }
        mod epoll {
            $(#[test]
            fn $name() {
                super::$name($crate::Io::Epoll);
            })+
        }
    };
}
