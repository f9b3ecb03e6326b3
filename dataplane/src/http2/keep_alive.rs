//! PING frames that ask whether the other side of a connection is still there (RFC 9113 section
//! 6.7). A host that has vanished says nothing, and TCP alone finds that out after many minutes.

use std::{future::pending, rc::Rc};

use h2::{Ping, PingPong};
use ringmain_config::cluster::KeepAlive;

use crate::io::{deadline::Deadlines, spawn, stream::Stream};

/// Asks from now on, until the connection ends. One that does not answer in time is ended, and
/// `lost` is called. Nothing is kept open for it: it may be a while until it asks again and finds
/// that the connection has ended.
pub(super) fn keep_alive(
    mut pings: PingPong,
    settings: KeepAlive,
    stream: &Rc<Stream>,
    deadlines: &Rc<Deadlines>,
    lost: impl FnOnce() + 'static,
) {
    let alarm = deadlines.alarm();
    let stream = Rc::downgrade(stream);
    spawn(async move {
        loop {
            alarm.set_after(settings.interval);
            let _ = alarm.guard(pending::<()>()).await;
            alarm.set_after(settings.timeout);
            match alarm.guard(pings.ping(Ping::opaque())).await {
                Ok(Ok(_)) => {}
                // It has ended by itself.
                Ok(Err(_)) => return,
                Err(_) => break,
            }
        }
        if let Some(stream) = stream.upgrade() {
            lost();
            stream.abort();
        }
    });
}
