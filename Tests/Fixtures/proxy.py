#!/usr/bin/env python3
"""A proxy that takes CONNECT (RFC 9110, 9.3.6) and SOCKS 5 (RFC 1928) for any host and leads to one port of this machine. Arguments: the
port, or "refuse". Prints its own port, then what was asked for. Standard library only."""
import socket, struct, sys, threading

listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
refuses = sys.argv[1] == "refuse"


def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # Either end may hang up.


def exactly(client, count):
    data = client.recv(count, socket.MSG_WAITALL)
    if len(data) < count:
        raise EOFError
    return data


def socks(client):
    exactly(client, exactly(client, 1)[0])
    client.sendall(b"\x05\x00")
    _, command, _, kind = exactly(client, 4)
    if kind == 3:
        host = exactly(client, exactly(client, 1)[0]).decode()
    else:
        host = socket.inet_ntop(socket.AF_INET if kind == 1 else socket.AF_INET6, exactly(client, 4 if kind == 1 else 16))
    port, = struct.unpack(">H", exactly(client, 2))
    print(f"SOCKS {command} {host}:{port}", flush=True)
    return b"\x05" + (b"\x02" if refuses else b"\x00") + b"\x00\x01" + bytes(6)


def connect(client, request):
    while not request.endswith(b"\r\n\r\n"):
        request += exactly(client, 1)
    print(request.split(b"\r\n")[0].decode(), flush=True)
    return b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n" if refuses else b"HTTP/1.1 200 Connection established\r\n\r\n"


def serve(client):
    try:
        first = exactly(client, 1)
        answer = socks(client) if first == b"\x05" else connect(client, first)
    except EOFError:
        return client.close()
    client.sendall(answer)
    if refuses:
        return client.close()
    server = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    threading.Thread(target=pump, args=(client, server), daemon=True).start()
    pump(server, client)


while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
