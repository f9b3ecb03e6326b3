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

/// Between the first two looks at a beginning that says too little: there is more in the next
/// packet, and as long as nothing is taken the kernel does not say that it has come.
const PAUSE_MIN: Duration = Duration::from_millis(2);
/// Each pause is twice as long as the one before, up to this: whoever is slow waits twice as long
/// as it made us wait at most, and one that says a byte and no more is looked at a few times a
/// second.
const PAUSE_MAX: Duration = Duration::from_millis(250);

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
    let mut pauses = pauses();
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
                let pause = pauses.next().unwrap_or(PAUSE_MAX);
                if alarm.guard(sleep(pause)).await.is_err() {
                    return false;
                }
            }
        }
    }
}

fn pauses() -> impl Iterator<Item = Duration> {
    std::iter::successors(Some(PAUSE_MIN), |pause| Some((2 * *pause).min(PAUSE_MAX)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::pauses;

    /// A client that sends one byte and waits wakes the core so often, whatever the timeout.
    #[test]
    fn slow_clients_are_looked_at_seldom() {
        for (millis, looks_max) in [(10, 3), (500, 8), (5000, 28), (60_000, 250)] {
            let mut left = Duration::from_millis(millis);
            let looks = pauses().take_while(|pause| {
                let is_in_time = *pause <= left;
                left = left.saturating_sub(*pause);
                is_in_time
            });
            let looks = looks.count();
            assert!(looks <= looks_max, "{looks} in {millis} ms");
        }
    }
}
