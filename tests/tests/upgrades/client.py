"""A WebSocket client that wants every message back, from the URL given."""

import sys

from websockets.sync.client import connect

with connect(sys.argv[1], max_size=None, subprotocols=["other", "echo"], proxy=None) as connection:
    assert connection.subprotocol == "echo", connection.subprotocol
    extensions = [extension.name for extension in connection.protocol.extensions]
    assert extensions == ["permessage-deflate"], extensions
    for number in range(200):
        connection.send(f"message {number}")
        assert connection.recv() == f"message {number}"
    assert connection.ping().wait(20)
    long = bytes(range(256)) * 4096
    connection.send(long)
    assert connection.recv() == long
    connection.send(["in ", "pieces"])
    assert connection.recv() == "in pieces"
print("closed with", connection.close_code)
