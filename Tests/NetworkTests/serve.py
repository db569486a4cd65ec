"""Answers on the given sockets: TCP says who asked, or echoes after "echo"; UDP answers with the datagram. Says when ready."""
import socket, sys, threading

def stream(listener):
    while True:
        peer, address = listener.accept()
        threading.Thread(target=answer, args=(peer, address), daemon=True).start()

def answer(peer, address):
    with peer:
        peer.sendall(f"hello {address[0]}\n".encode())
        peer.settimeout(20)
        try:
            if peer.recv(5) == b"echo\n":
                while data := peer.recv(65536):
                    peer.sendall(data)
        except OSError:
            pass

def datagrams(one):
    while True:
        data, address = one.recvfrom(65536)
        one.sendto(b"answer " + data, address)

workers = []
for text in sys.argv[2:]:
    udp = text.startswith("udp:")
    address, port = text.removeprefix("udp:").rsplit(":", 1)
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind((address, int(port)))
    if not udp:
        one.listen(64)
    workers.append(threading.Thread(target=datagrams if udp else stream, args=(one,)))
for worker in workers:
    worker.start()
with open(sys.argv[1], "w") as ready:
    ready.write("ready\n")
