"""A client of gRPC: runs what its arguments name, and fails when something is not as it should."""

import queue
import sys
import time

import grpc

# An address, and behind a bar the name of the service there.
TARGET, _, AUTHORITY = sys.argv[1].partition("|")
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.enable_retries", 0)]
if AUTHORITY:
    OPTIONS.append(("grpc.default_authority", AUTHORITY))
# Nothing that works takes so long, on however busy a machine.
PATIENCE = 20


def method(kind, name):
    return getattr(channel, kind)("/test.Peer/" + name)


def failure(call):
    try:
        call()
    except grpc.RpcError as error:
        return error
    raise AssertionError("it was to fail")


def equal(seen, expected):
    assert seen == expected, f"{seen!r}, not {expected!r}"


def unary():
    for message in [b"", b"hello", bytes(range(256)) * 100]:
        equal(method("unary_unary", "Echo")(message, timeout=PATIENCE), message)


def big():
    message = bytes(i * i % 251 for i in range(1000)) * 3000
    assert method("unary_unary", "Echo")(message, timeout=PATIENCE) == message


def metadata():
    value = "v" * 7000
    call = method("unary_unary", "Echo")
    answer, call = call.with_call(b"", timeout=PATIENCE, metadata=[("x-own", value)])
    equal(dict(call.initial_metadata())["x-back"], value)
    equal(dict(call.trailing_metadata())["x-behind"], value)


def client_stream():
    messages = (b"x" * 1000 for _ in range(500))
    equal(method("stream_unary", "Total")(messages, timeout=PATIENCE), b"500000")
    equal(method("stream_unary", "Total")(iter([]), timeout=PATIENCE), b"0")


def server_stream():
    answers = list(method("unary_stream", "Count")(b"500", timeout=PATIENCE))
    equal(answers, [str(number).encode() for number in range(500)])
    equal(list(method("unary_stream", "Count")(b"0", timeout=PATIENCE)), [])


def interleaved():
    """Each message is answered before the next one is sent: nothing may be held back."""
    outgoing = queue.Queue()
    answers = method("stream_stream", "Each")(iter(outgoing.get, None), timeout=PATIENCE)
    for number in range(50):
        message = str(number).encode()
        outgoing.put(message)
        equal(next(answers), b"<" + message + b">")
    outgoing.put(None)
    equal(list(answers), [])
    equal(answers.code(), grpc.StatusCode.OK)


def cancel():
    answers = method("unary_stream", "Hang")(b"", timeout=PATIENCE)
    equal(next(answers), b"begun")
    answers.cancel()
    equal(method("unary_unary", "WasCancelled")(b"", timeout=PATIENCE), b"yes")


def deadline():
    left = float(method("unary_unary", "Remaining")(b"", timeout=PATIENCE))
    # The library rounds what it sends.
    assert PATIENCE / 2 < left <= PATIENCE + 1, left
    equal(method("unary_unary", "Remaining")(b""), b"none")


def out_of_time():
    # The time is the route's, so that nobody but the proxy knows that it is over.
    error = failure(lambda: method("unary_unary", "Sleep")(b"", timeout=PATIENCE))
    equal(error.code(), grpc.StatusCode.DEADLINE_EXCEEDED)


def cancel_before_an_answer():
    call = method("unary_unary", "Sleep").future(b"", timeout=PATIENCE)
    equal(method("unary_unary", "IsAsleep")(b"", timeout=PATIENCE), b"yes")
    call.cancel()
    equal(call.code(), grpc.StatusCode.CANCELLED)


def errors():
    error = failure(lambda: method("unary_unary", "Fail")(b"", timeout=PATIENCE))
    equal(error.code(), grpc.StatusCode.INVALID_ARGUMENT)
    equal(error.details(), "not like this: \u00e9 100%")
    trailing = dict(error.trailing_metadata())
    equal((trailing["x-why"], trailing["x-why-bin"]), ("because", b"\x00\xff"))
    answers = method("unary_stream", "FailLate")(b"", timeout=PATIENCE)
    equal([next(answers), next(answers)], [b"one", b"two"])
    error = failure(lambda: next(answers))
    equal((error.code(), error.details()), (grpc.StatusCode.DATA_LOSS, "no third one"))
    error = failure(lambda: method("unary_unary", "Nothing")(b"", timeout=PATIENCE))
    equal(error.code(), grpc.StatusCode.UNIMPLEMENTED)


def many():
    """More at once than there are threads at the server."""
    call = method("unary_unary", "Echo")
    calls = [call.future(str(number).encode(), timeout=PATIENCE) for number in range(300)]
    equal([call.result() for call in calls], [str(number).encode() for number in range(300)])


def known():
    """Waits until the proxies know the server."""
    for _ in range(PATIENCE * 20):
        try:
            return method("unary_unary", "Echo")(b"", timeout=PATIENCE)
        except grpc.RpcError as error:
            last = error
            time.sleep(0.05)
    raise last


def no_route():
    error = failure(lambda: method("unary_unary", "Echo")(b"", timeout=PATIENCE))
    equal(error.code(), grpc.StatusCode.UNIMPLEMENTED)


def gone():
    error = failure(lambda: method("unary_unary", "Echo")(b"", timeout=PATIENCE))
    equal(error.code(), grpc.StatusCode.UNAVAILABLE)


def cut():
    """The server is killed when this has said that the answer has begun."""
    answers = method("unary_stream", "Hang")(b"", timeout=PATIENCE)
    equal(next(answers), b"begun")
    print("begun", flush=True)
    error = failure(lambda: next(answers))
    expected = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL)
    assert error.code() in expected, error


with grpc.insecure_channel(TARGET, options=OPTIONS) as channel:
    for name in sys.argv[2:]:
        print("case", name, flush=True)
        globals()[name]()
print("all is well", flush=True)
