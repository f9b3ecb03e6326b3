//! HTTP/2 on either side and on both, frame by frame and against peers that are not ours.
//!
//! `messages` is what passes in each of the four pairs of protocols, `peers` the same between
//! programs that others wrote. `flow` is flow control from end to end, `early` what is answered
//! before it was asked to the end, `endings` how streams and connections end, `bounds` how they
//! begin and how long they may take, `opening` how connections to endpoints do, `smuggling` what
//! could be read as something else. Floods are in `http2_floods`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

mod bounds;
mod early;
mod endings;
mod flow;
mod messages;
mod opening;
mod pair;
mod peers;
mod smuggling;

use ringmain_tests::on_both;

use self::messages::*;

on_both!(whatever_is_sent_arrives, connection_fields_stay_behind,);
