//! What stands before what is spoken on a connection: TLS, which is ended here, passed through, or
//! not there.
//!
//! The first bytes are looked at and left where they are, so that whoever serves the connection
//! finds it as it came.

use std::{io, rc::Rc, time::Duration};

use ringmain_core::{
    client_hello::{Beginning, ClientHello, HELLO_BYTES_MAX, look},
    ending::Ending,
    metrics::Reporter,
    snapshot::ListenerProtocol,
    tls::{Chain, ChainAction, Chains},
};
use rustls::server::UnbufferedServerConnection;

use crate::{
    connection, detect,
    io::{alarm::Alarm, deadline::Expiry, sleep, spawn},
    record::TunnelRecord,
    relay::micros,
    session::{Secured, Session},
    tls::{peer, session as tls},
    tunnel,
    worker::{Pinned, Worker},
};

/// Between the first two looks at a ClientHello that is not complete: there is more in the next
/// packet, and as long as nothing is taken the kernel does not say that it has come.
const PAUSE_MIN: Duration = Duration::from_millis(1);
/// Each pause is twice as long as the one before, up to this.
const PAUSE_MAX: Duration = Duration::from_millis(100);
/// Most ClientHellos are shorter.
const LOOK_BYTES: usize = 2048;

/// A fatal alert before anything is agreed on: `unrecognized_name` (RFC 6066 section 3).
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];
/// The same: `internal_error` (RFC 8446 section 6.2).
const INTERNAL_ERROR: [u8; 7] = [21, 3, 3, 0, 2, 2, 80];

/// Serves a connection of a listener that has TLS to its end. `place` is that of [`Worker::open`].
pub async fn serve(worker: Rc<Worker>, session: Rc<Session>, place: usize) {
    session.set_idle(worker.now());
    let spoken = Box::pin(begin(&worker, &session)).await;
    match spoken {
        Some(Spoken::Http) => connection::serve(worker, session, place).await,
        Some(Spoken::Bytes) => tunnel::serve(worker, session, place).await,
        Some(Spoken::Either) => detect::serve(worker, session, place).await,
        None => {
            drop(session);
            worker.close(place);
        }
    }
}

/// What is spoken behind it.
enum Spoken {
    Http,
    Bytes,
    Either,
}

impl Spoken {
    fn of(protocol: &ListenerProtocol) -> Self {
        match protocol {
            ListenerProtocol::Http(_) => Self::Http,
            ListenerProtocol::Tcp(_) => Self::Bytes,
            ListenerProtocol::Detect(..) => Self::Either,
        }
    }
}

/// `None`: the connection is over, and recorded.
async fn begin(worker: &Rc<Worker>, session: &Rc<Session>) -> Option<Spoken> {
    let opened = worker.now();
    let alarm = worker.deadlines.alarm();
    let pinned = worker.snapshot(session.listener);
    let listener = pinned.listener(session.listener)?;
    let chains = listener.tls.as_ref()?;
    alarm.set(opened + micros(worker.limits.tls_handshake_timeout));
    let looked = first_bytes(worker, session, &alarm, chains.accepts_plaintext).await;
    drop(alarm);
    let result = match looked {
        Looked::Hello(hello) => shake(worker, session, (&pinned, chains), hello).await,
        Looked::Plaintext if chains.accepts_plaintext => Ok(Spoken::of(&listener.protocol)),
        Looked::Plaintext => Err("plaintext where TLS is required".to_owned()),
        // It has said nothing: there is nothing to record.
        Looked::Gone => return None,
        Looked::Late => Err("no ClientHello came in time".to_owned()),
        Looked::Malformed => Err("what came is no ClientHello".to_owned()),
    };
    match result {
        Ok(spoken) => Some(spoken),
        Err(reason) => {
            worker.counters.tls_handshakes_failed.increment();
            let reporter = Reporter::of(listener.config.direction);
            let mut record = TunnelRecord::open(&worker.recorder, reporter, opened);
            record.describe(|| (session.stream.local_address().ok(), session.peer));
            record.transport_failure(&io::Error::other(reason));
            record.close(Ending::HandshakeFailed);
            None
        }
    }
}

/// What the first bytes of a connection are.
enum Looked {
    Hello(ClientHello),
    Plaintext,
    Malformed,
    Late,
    Gone,
}

/// `may_wait`: a client that says nothing may wait for its server, in plain text.
async fn first_bytes(worker: &Worker, session: &Session, alarm: &Alarm, may_wait: bool) -> Looked {
    let late = if may_wait {
        Looked::Plaintext
    } else {
        Looked::Late
    };
    let mut buffer = worker.buffers.none();
    let mut pause = PAUSE_MIN;
    let mut bytes = LOOK_BYTES;
    loop {
        buffer.clear();
        buffer.tail().resize(bytes, 0);
        let count = match session.stream.peek(buffer.filled_mut()) {
            Ok(0) => return Looked::Gone,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                buffer.clear();
                buffer.release();
                match alarm.guard(session.stream.readable()).await {
                    Ok(Ok(())) => continue,
                    Ok(Err(_)) => return Looked::Gone,
                    Err(_) => return late,
                }
            }
            Err(_) => return Looked::Gone,
        };
        match look(&buffer.filled()[..count]) {
            Beginning::Hello(hello) => return Looked::Hello(hello),
            Beginning::Other => return Looked::Plaintext,
            Beginning::Malformed => return Looked::Malformed,
            Beginning::More if count == bytes && bytes < HELLO_BYTES_MAX => bytes *= 2,
            Beginning::More => {
                buffer.clear();
                buffer.release();
                if alarm.guard(sleep(pause)).await.is_err() {
                    return Looked::Late;
                }
                pause = (2 * pause).min(PAUSE_MAX);
            }
        }
    }
}

/// Does what the chain says that the ClientHello asks for.
async fn shake(
    worker: &Rc<Worker>,
    session: &Rc<Session>,
    (pinned, chains): (&Rc<Pinned>, &Chains),
    hello: ClientHello,
) -> Result<Spoken, String> {
    let ClientHello { server_name, alpn } = hello;
    let offered = alpn.iter().map(Vec::as_slice);
    let Some(chain) = chains.select(server_name.as_deref(), offered) else {
        say_last(session, &UNRECOGNIZED_NAME).await;
        return Err(match &server_name {
            Some(name) => format!("nobody serves the name {name} here"),
            None => "nobody serves a client without a server name here".to_owned(),
        });
    };
    match &chain.action {
        ChainAction::PassThrough(_) => {
            session.set_secured(Secured::passed(chain, server_name));
            Ok(Spoken::Bytes)
        }
        ChainAction::Terminate(_, protocol) => {
            let spoken = Spoken::of(protocol);
            terminate(worker, session, (pinned, chain), server_name).await?;
            Ok(spoken)
        }
    }
}

async fn terminate(
    worker: &Rc<Worker>,
    session: &Rc<Session>,
    (pinned, chain): (&Rc<Pinned>, &Chain),
    server_name: Option<String>,
) -> Result<(), String> {
    let Some(config) = pinned.tls().server(session.listener, &chain.name) else {
        say_last(session, &INTERNAL_ERROR).await;
        return Err("its certificate cannot be used (see the log of the proxy)".to_owned());
    };
    let connection = UnbufferedServerConnection::new(config.clone());
    let connection = connection.map_err(|error| error.to_string())?;
    let buffers = (worker.buffers.none(), worker.buffers.none());
    let stream = &session.stream;
    stream.secure(tls::Session::server(connection, buffers));
    let late = worker.now() + micros(worker.limits.tls_handshake_timeout);
    stream.deadline().set(late, Expiry::Close);
    let shaken = stream.handshake().await;
    let is_late = stream.deadline().expired();
    stream.deadline().clear();
    if is_late {
        return Err("the handshake took too long (limits.tls_handshake_timeout)".to_owned());
    }
    shaken.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => "the client closed during the handshake".to_owned(),
        _ => format!("the handshake failed: {error}"),
    })?;
    let Some(agreed) = stream.with_session(|session| session.agreed()) else {
        return Err("the session is gone".to_owned());
    };
    match agreed.is_resumed {
        true => worker.counters.tls_handshakes_resumed.increment(),
        false => worker.counters.tls_handshakes_full.increment(),
    }
    let shown = agreed.certificates.first();
    let peer = shown.and_then(|der| peer::peer(der));
    let secured = Secured::ended(chain, server_name, agreed.alpn, peer);
    let own_uri = pinned.tls().own_uri(session.listener, &chain.name);
    session.set_secured(secured.shown(own_uri));
    Ok(())
}

/// Sends a last word, unless the client does not take it soon.
async fn say_last(session: &Rc<Session>, bytes: &'static [u8]) {
    // Nothing was sent before, so there is room.
    let _ = session.stream.send_ahead(bytes);
    session.stream.push();
    session.stream.finish();
    // What has come is not taken, and a socket that is closed so resets the connection; the client
    // gets a moment to read.
    let session = Rc::clone(session);
    spawn(async move {
        sleep(PAUSE_MAX).await;
        drop(session);
    });
}
