use super::{Client, Http2Connection, RecvStream, Request, SendResponse, serve, serve_request};

fn size_of_output<F: Future>(_: impl Fn() -> F) -> usize {
    size_of::<F>()
}

fn never<T>() -> T {
    unreachable!("only the type of the future is asked for")
}

/// What a connection and each of its requests make the worker allocate, beside buffers, what h2
/// keeps of them elsewhere, and the large future, of which there is one for each request that
/// runs.
#[test]
fn bytes_of_a_connection_and_of_a_request() {
    let task = size_of_output(|| serve_request(never(), never(), never(), never()));
    let head = size_of::<(Request<RecvStream>, SendResponse<bytes::Bytes>)>();
    let waiting = size_of_output(|| serve(never(), never(), never()));
    for (what, bytes, bytes_max) in [
        ("a request's task", task, 216),
        (
            "a request's head and client",
            head + size_of::<Client>(),
            344,
        ),
        ("a connection's task", waiting, 632),
        ("a connection of h2's", size_of::<Http2Connection>(), 1424),
    ] {
        assert!(bytes <= bytes_max, "{what} takes {bytes} bytes");
    }
}
