//! A connection of a listener that finds out what is spoken: HTTP, or bytes of which nothing is
//! read.
//!
//! The first bytes are looked at and left where they are, so that whoever serves the connection
//! finds it as it came. A client that says nothing for too long waits for its server to speak
//! first, and gets it.

use std::{io, rc::Rc, time::Duration};

use ringmain_core::detect::{Detected, ENOUGH, detect};

use crate::{
    connection,
    io::{alarm::Alarm, sleep},
    relay::micros,
    session::Session,
    tunnel,
    worker::Worker,
};

/// Between two looks at a beginning that says too little: there is more in the next packet, and as
/// long as nothing is taken the kernel does not say that it has come.
const PAUSE: Duration = Duration::from_millis(2);

/// Serves a connection to its end. `place` is that of [`Worker::open`].
pub async fn serve(worker: Rc<Worker>, session: Rc<Session>, place: usize) {
    let now = worker.now();
    session.set_idle(now);
    let alarm = worker.deadlines.alarm();
    alarm.set(now + micros(worker.limits.protocol_detection_timeout));
    let is_http = speaks_http(&session, &alarm).await;
    drop(alarm);
    if is_http {
        connection::serve(worker, session, place).await;
    } else {
        tunnel::serve(worker, session, place).await;
    }
}

async fn speaks_http(session: &Session, alarm: &Alarm) -> bool {
    let mut bytes = [0; ENOUGH];
    loop {
        let count = match session.stream.peek(&mut bytes) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                match alarm.guard(session.stream.readable()).await {
                    Ok(Ok(())) => continue,
                    Ok(Err(_)) | Err(_) => return false,
                }
            }
            Err(_) => return false,
        };
        match detect(&bytes[..count]) {
            Detected::Http1 | Detected::Http2 => return true,
            Detected::Tls | Detected::Bytes => return false,
            // The client says no more, and what it has said is not HTTP.
            Detected::More if count == 0 => return false,
            Detected::More => {
                if alarm.guard(sleep(PAUSE)).await.is_err() {
                    return false;
                }
            }
        }
    }
}
