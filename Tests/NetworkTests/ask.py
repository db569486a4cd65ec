"""Asks each target and prints "TARGET RESULT": what was answered, or "refused" and why. Several at once: a silent one is slow.
One after a "+" is to answer, and has the time that a busy machine takes."""
import hashlib, os, socket, struct, sys, threading

def tcp(address, port, wait, device=None):
    with socket.socket() as one:
        one.settimeout(wait)
        if device:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device)
        one.connect((address, port))
        return one.recv(100).decode().strip()

def udp(address, port, wait):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(wait)
        one.connect((address, port))
        one.send(b"question")
        return one.recv(100).decode()

def big(address, port, wait):
    """A megabyte there and back, and the end of it."""
    data = os.urandom(1 << 20)
    with socket.create_connection((address, port), wait) as one:
        reader = one.makefile("rb")
        reader.readline()
        one.sendall(b"echo\n")
        def send():
            one.sendall(data)
            one.shutdown(socket.SHUT_WR)
        sender = threading.Thread(target=send)
        sender.start()
        back = reader.read()
        sender.join()
        return "same" if hashlib.sha256(back).digest() == hashlib.sha256(data).digest() else f"other, {len(back)} bytes"

def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF

def frame(address, port, wait):
    """A SYN of our own making, put on the wire past all routes (packet(7)); an answer is a SYN+ACK."""
    device = b"eth0"
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)) as one:
        one.bind((device.decode(), 0x0800))
        one.settimeout(wait)
        source = one.getsockname()[4]
        gateway = next(l.split()[3] for l in open("/proc/net/arp") if l.startswith("198.18.0.1 "))
        peer = bytes.fromhex(gateway.replace(":", ""))
        addresses = socket.inet_aton("198.18.0.100") + socket.inet_aton(address)
        segment = struct.pack("!HHIIBBHHH", 45678, port, 1, 0, 0x50, 2, 65535, 0, 0)
        sum_ = checksum(addresses + struct.pack("!BBH", 0, 6, len(segment)) + segment)
        segment = segment[:16] + struct.pack("!H", sum_) + segment[18:]
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 7, 0, 64, 6, 0) + addresses
        head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
        one.send(peer + source + b"\x08\x00" + head + segment)
        while True:
            packet = one.recv(2000)[14:]
            if packet[9] == 6 and packet[12:16] == socket.inet_aton(address) and packet[33] & 0x12 == 0x12:
                return "SYN+ACK"

def ask(target, wait, results):
    kind, address, port = target.split(":")
    try:
        if kind == "device":
            results[target] = tcp(address, int(port), wait, b"eth0")
        else:
            results[target] = {"tcp": tcp, "udp": udp, "big": big, "frame": frame}[kind](address, int(port), wait)
    except Exception as error:
        results[target] = f"refused {error}"

results = {}
threads = []
# Frames once all that is to answer has: the neighbour table knows the gateway then.
targets = {word.removeprefix("+"): 30 if word.startswith("+") else 3 for word in sys.argv[1:]}
order = sorted(targets, key=lambda t: t.startswith("frame"))
for target in order:
    if target.startswith("frame"):
        for thread, asked in zip(threads, order):
            if targets[asked] > 3 and not asked.startswith("frame"):
                thread.join()
    threads.append(threading.Thread(target=ask, args=(target, targets[target], results)))
    threads[-1].start()
for thread in threads:
    thread.join()
for target in targets:
    print(target, results[target], flush=True)
