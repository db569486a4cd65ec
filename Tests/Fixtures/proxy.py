#!/usr/bin/env python3
"""A proxy that takes CONNECT for any host and leads to one port of this machine. Argument: the port. Prints its own, then
what was asked for. Standard library only."""
import socket, sys, threading

listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)


def pump(source, target):
    while data := source.recv(65536):
        target.sendall(data)
    target.shutdown(socket.SHUT_WR)


def serve(client):
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        byte = client.recv(1)
        if not byte:
            return
        request += byte
    print(request.split(b"\r\n")[0].decode(), flush=True)
    server = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    threading.Thread(target=pump, args=(client, server), daemon=True).start()
    pump(server, client)


while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
