//! Who has sent one request over HTTP/2, and takes its answer.

use std::{
    cell::{Cell, OnceCell, RefCell},
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use h2::{Reason, server::SendResponse};
use http::Response;

use crate::http2::stream::Outlet;

/// The client of one request.
pub struct Client {
    /// Until the head of the answer is sent.
    respond: RefCell<SendResponse<Bytes>>,
    /// From then on, unless the answer ended with its head.
    outlet: OnceCell<Outlet>,
    /// It has reset the stream before there was an answer.
    pub(super) has_reset: Cell<bool>,
}

impl Client {
    pub(super) fn new(respond: SendResponse<Bytes>) -> Self {
        Self {
            respond: RefCell::new(respond),
            outlet: OnceCell::new(),
            has_reset: Cell::new(false),
        }
    }

    /// Sends an interim answer.
    ///
    /// # Errors
    /// When the client has gone.
    pub fn inform(&self, response: Response<()>) -> Result<(), h2::Error> {
        self.respond.borrow_mut().send_informational(response)
    }

    /// Sends the head of the answer. `ends`: it is all of it. Else its body goes to the outlet.
    ///
    /// # Errors
    /// When the client has gone.
    pub fn respond(&self, response: Response<()>, ends: bool) -> Result<(), h2::Error> {
        let stream = self.respond.borrow_mut().send_response(response, ends)?;
        if !ends {
            drop(self.outlet.set(Outlet::new(stream)));
        }
        Ok(())
    }

    /// Where the body of the answer goes.
    pub fn outlet(&self) -> &Outlet {
        self.outlet
            .get()
            .expect("a body follows a head that does not end the answer")
    }

    /// Tells the client that what it has is not the whole.
    pub fn reset(&self, reason: Reason) {
        match self.outlet.get() {
            Some(outlet) => outlet.reset(reason),
            None => self.respond.borrow_mut().send_reset(reason),
        }
    }

    fn poll_gone(&self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(outlet) = self.outlet.get() {
            return outlet.poll_reset(context);
        }
        let reset = self.respond.borrow_mut().poll_reset(context);
        // An error is the end of the whole connection.
        self.has_reset.set(matches!(reset, Poll::Ready(Ok(_))));
        reset.map(|_| ())
    }
}

/// Runs an exchange to its end. `gone` is called when the client has reset the stream meanwhile.
///
/// The exchange lies with its owner: a future that is handed over by value takes its room twice,
/// once as an argument and once where it runs.
pub async fn watch<T>(
    client: &Client,
    mut exchange: Pin<&mut impl Future<Output = T>>,
    gone: impl FnOnce(),
) -> T {
    let mut gone = Some(gone);
    let mut begun = false;
    poll_fn(|context| {
        // What wakes it is the end of the exchange as a rule, and then the client need not be
        // asked. Before the beginning it is: it may have reset the stream with its request.
        if begun && let Poll::Ready(output) = exchange.as_mut().poll(context) {
            return Poll::Ready(output);
        }
        let has_gone = gone.is_some() && client.poll_gone(context).is_ready();
        if let Some(gone) = gone.take_if(|_| has_gone) {
            gone();
        } else if begun {
            return Poll::Pending;
        }
        begun = true;
        exchange.as_mut().poll(context)
    })
    .await
}
