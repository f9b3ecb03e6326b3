"""A server of gRPC. Messages are bytes, so that nothing has to be generated."""

import sys
import threading
from concurrent import futures

import grpc

cancelled = threading.Event()
asleep = threading.Event()


def echo(request, context):
    for key, value in context.invocation_metadata():
        if key == "x-own":
            context.send_initial_metadata([("x-back", value)])
            context.set_trailing_metadata([("x-behind", value)])
    return request


def total(requests, context):
    return str(sum(len(request) for request in requests)).encode()


def count(request, context):
    for number in range(int(request)):
        yield str(number).encode()


def each(requests, context):
    for request in requests:
        yield b"<" + request + b">"


def hang(request, context):
    context.add_callback(cancelled.set)
    yield b"begun"
    cancelled.wait(20)


def was_cancelled(request, context):
    was = cancelled.wait(20)
    cancelled.clear()
    return b"yes" if was else b"no"


def remaining(request, context):
    left = context.time_remaining()
    return b"none" if left is None or left > 1e6 else str(left).encode()


def sleep(request, context):
    ended = threading.Event()
    context.add_callback(ended.set)
    asleep.set()
    ended.wait(20)
    return b""


def is_asleep(request, context):
    return b"yes" if asleep.wait(20) else b"no"


def fail(request, context):
    context.set_trailing_metadata([("x-why", "because"), ("x-why-bin", b"\x00\xff")])
    context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not like this: \u00e9 100%")


def fail_late(request, context):
    yield b"one"
    yield b"two"
    context.abort(grpc.StatusCode.DATA_LOSS, "no third one")


def main():
    unary, stream = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
    handlers = {
        "Echo": unary(echo),
        "Total": grpc.stream_unary_rpc_method_handler(total),
        "Count": stream(count),
        "Each": grpc.stream_stream_rpc_method_handler(each),
        "Hang": stream(hang),
        "WasCancelled": unary(was_cancelled),
        "Remaining": unary(remaining),
        "Sleep": unary(sleep),
        "IsAsleep": unary(is_asleep),
        "Fail": unary(fail),
        "FailLate": stream(fail_late),
    }
    options = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1)]
    server = grpc.server(futures.ThreadPoolExecutor(32), options=options)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Peer", handlers)])
    port = server.add_insecure_port(sys.argv[1] + ":0")
    server.start()
    print("listening", port, flush=True)
    server.wait_for_termination()


main()
