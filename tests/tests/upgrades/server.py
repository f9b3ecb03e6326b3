"""A WebSocket server that sends every message back, at the address given."""

import sys

from websockets.sync.server import serve


def echo(connection):
    for message in connection:
        connection.send(message)


with serve(echo, sys.argv[1], 0, max_size=None, subprotocols=["echo"]) as server:
    print("port", server.socket.getsockname()[1])
    server.serve_forever()
