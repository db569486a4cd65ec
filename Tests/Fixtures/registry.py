#!/usr/bin/env python3
"""A registry that misbehaves on demand: the repository's name says how. Prints its port, then one line for each request
that carried an Authorization header, asked for a token or for a part of a blob. With a certificate and a key (PEM) it speaks TLS
besides, on the port it prints second. Standard library only."""
import gzip, hashlib, io, json, ssl, sys, tarfile, threading, time
from urllib.parse import parse_qs
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

OCI = "application/vnd.oci.image."


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def layer(size=300_000):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in (("hello", b"hello\n"), ("filler", hashlib.shake_256(b"seed").digest(size))):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


TAR = layer()
BLOB = gzip.compress(TAR, mtime=0)
CONFIG = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/hello"]},
                     "rootfs": {"type": "layers", "diff_ids": [digest(TAR)]}}).encode()
WRONG_CONFIG = CONFIG.replace(digest(TAR).encode(), digest(b"another tar").encode())


def manifest(config=CONFIG, blob=BLOB, size=None, **more):
    return json.dumps({
        "schemaVersion": 2, "mediaType": OCI + "manifest.v1+json",
        "config": {"mediaType": OCI + "config.v1+json", "digest": digest(config), "size": len(config)},
        "layers": [{"mediaType": OCI + "layer.v1.tar+gzip", "digest": digest(blob), "size": size or len(blob)}],
        **more}).encode()


GOOD = manifest()


def index(*entries, **more):
    return json.dumps({"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": list(entries), **more}).encode()


def entry(data, architecture, kind="manifest", size=None, **more):
    return {"mediaType": OCI + kind + ".v1+json", "digest": digest(data), "size": size or len(data),
            "platform": {"os": "linux", "architecture": architecture, **more}}


BIG_TAR = layer(3_000_000)
BIG = gzip.compress(BIG_TAR, mtime=0)
BIG_CONFIG = CONFIG.replace(digest(TAR).encode(), digest(BIG_TAR).encode())

NEST = [GOOD]
for _ in range(5):
    NEST.append(index(entry(NEST[-1], "amd64", "index" if len(NEST) > 1 else "manifest")))

MANIFESTS = {
    "good": GOOD, "cut": GOOD, "cut-norange": GOOD, "flaky": GOOD, "redirect": GOOD, "endless": GOOD, "swapped": GOOD,
    "short": GOOD, "nowhere": GOOD, "loop": GOOD,
    "wrong-diffid": manifest(WRONG_CONFIG),
    "ambiguous": manifest(manifests=[entry(GOOD, "amd64")]),
    "corrupt": index(entry(GOOD, "amd64")),
    "nested": NEST[2], "too-deep": NEST[5],
    "platforms": index(entry(GOOD, "amd64"), entry(b"{}", "arm64")),
    "other-platform": index(entry(b"{}", "s390x")),
    "index-lies": index(entry(GOOD, "amd64", size=7)),
    "huge": b'{"schemaVersion": 2, "x": "' + b"y" * (5 << 20) + b'"}',
    "no-json": b"<html>not a registry</html>",
    "traversal": GOOD.replace(digest(BLOB).encode(), b"sha256:../../../../etc/passwd"),
    "busy": GOOD, "limited": GOOD, "stall": GOOD, "length": GOOD, "expiring": GOOD, "always401": GOOD, "mind": GOOD, "trickle": GOOD,
    "downgrade": GOOD, "clear-token": GOOD, "across": GOOD,
    "big": manifest(BIG_CONFIG, BIG), "large": manifest(BIG_CONFIG, BIG), "held": manifest(BIG_CONFIG, BIG),
    "artifact": manifest(artifactType="application/vnd.example.sbom"),
    "foreign": GOOD.replace(b"oci.image.layer.v1.tar+gzip", b"oci.image.layer.nondistributable.v1.tar+gzip"),
    "sha512": GOOD.replace(digest(BLOB).encode(), b"sha512:" + b"0" * 128),
    "arm": index(entry(GOOD, "arm", variant="v5"), entry(b"{}", "arm", variant="v8")),
    "schema1": b'{"schemaVersion": 1, "fsLayers": [], "history": []}',
}
DOCUMENTS = {digest(data): data for data in list(MANIFESTS.values()) + NEST}
BLOBS = {digest(CONFIG): CONFIG, digest(WRONG_CONFIG): WRONG_CONFIG, digest(BLOB): BLOB, digest(BIG_CONFIG): BIG_CONFIG, digest(BIG): BIG}
seen = {}
lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def first(self, what):
        with lock:
            seen[what] = seen.get(what, 0) + 1
            return seen[what] == 1

    def do_GET(self):
        if "Authorization" in self.headers:
            print("authorization", self.headers["Host"], self.path, self.headers["Authorization"], flush=True)
        path = self.path.split("?")[0]
        if path == "/v2/":
            return self.answer(200, b"{}")
        if path == "/token":
            query = parse_qs(self.path.partition("?")[2])
            print("token for", *query.get("scope", []), flush=True)
            with lock:
                seen["tokens"] = seen.get("tokens", 0) + 1
                return self.answer(200, json.dumps({"token": f"t{seen['tokens']}"}).encode())
        if "Range" in self.headers:
            print("range", self.headers["Range"], flush=True)
        parts = path.split("/")
        if len(parts) == 3 and parts[1] == "elsewhere":
            return self.blob("elsewhere", parts[2])
        if len(parts) < 5:
            return self.answer(404, b'{"errors":[{"code":"NAME_UNKNOWN","message":"\\u001b[31mno such\\nrepository"}]}')
        mode, kind, wanted = parts[2], parts[3], parts[4]
        if mode == "redirect" and self.headers.get("Authorization", "") != "Basic dTpw":
            return self.answer(401, WWW_Authenticate='Basic realm="rig"')
        if mode in ("downgrade", "across") and self.headers.get("Authorization", "") != "Basic dTpw":
            return self.answer(401, WWW_Authenticate='Basic realm="rig"')
        if mode == "clear-token":
            return self.answer(401, WWW_Authenticate=f'Bearer realm="http://127.0.0.1:{plain}/token",service="rig"')
        if mode in ("expiring", "always401"):
            token = self.headers.get("Authorization", "")
            if mode == "always401" or token != f"Bearer t{seen.get('tokens', 0)}" or seen.pop("expired", None):
                challenge = f'Bearer realm="http://{self.headers["Host"]}/token",service="rig",scope="repository:{mode}:pull"'
                return self.answer(401, WWW_Authenticate=challenge)
        if mode == "busy" and (self.first("busy") or self.first("busier")):
            return self.answer(429, Retry_After="0")
        if mode == "limited":
            return self.answer(429, b'{"errors":[{"code":"TOOMANYREQUESTS","message":"pull rate limit"}]}', Retry_After="3600")
        if kind == "manifests":
            if mode == "loop":
                return self.answer(307, Location=self.path)
            if mode == "flaky" and self.first("flaky"):
                return self.answer(503)
            data = DOCUMENTS.get(wanted) if wanted.startswith("sha256:") else MANIFESTS.get(mode)
            if data is None:
                return self.answer(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')
            if mode == "mind" and not self.first("mind"):
                data = data + b"\n"
            if mode == "corrupt" and wanted.startswith("sha256:"):
                data = data + b" "
            kind = "index" if b'"manifests"' in data and mode != "ambiguous" else "manifest"
            return self.answer(200, data, Content_Type=OCI + kind + ".v1+json")
        return self.blob(mode, wanted)

    def blob(self, mode, wanted):
        data = BLOBS.get(wanted)
        if data is None:
            return self.answer(404, b'{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown"}]}')
        if data is not BLOB and data is not BIG:
            return self.answer(200, data)
        host = self.headers["Host"].split(":")
        if mode == "redirect":
            return self.answer(307, Location=f"http://localhost:{host[1]}/elsewhere/{wanted}")
        if mode == "downgrade":
            return self.answer(307, Location=f"http://127.0.0.1:{plain}/elsewhere/{wanted}")
        if mode == "across":
            return self.answer(307, Location=f"https://127.0.0.1:{host[1]}/elsewhere/{wanted}")
        if mode == "nowhere":
            return self.answer(307, Location="file:///etc/passwd")
        if mode == "swapped":
            return self.answer(200, data[:-100] + bytes(100))
        if mode == "length":
            return self.answer(200, data + b"more")
        if mode in ("stall", "trickle") or mode == "held" and self.first(mode):
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[:2_000_000 if mode == "held" else 10])
            self.wfile.flush()
            for at in range(10, len(data)):
                if mode != "trickle":
                    return self.rfile.read(1)  # Until the client hangs up.
                time.sleep(0.2)
                self.wfile.write(data[at:at + 1])
        if mode in ("short", "endless"):
            # Without a length: the end of the connection is the end of the body.
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(data[:1000] if mode == "short" else data + data)
            return
        start = 0
        if "Range" in self.headers and mode != "cut-norange":
            start = int(self.headers["Range"].split("=")[1].split("-")[0])
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        if (mode.startswith("cut") or mode in ("expiring", "big")) and self.first(mode):
            seen["expired"] = mode == "expiring"
            self.wfile.write(data[:2_000_000 if mode == "big" else 100_000])
            self.wfile.flush()
            self.connection.shutdown(2)
            self.close_connection = True
            return
        self.wfile.write(data[start:])


class Server(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        pass  # Clients hang up on answers they refuse.


server = Server(("127.0.0.1", 0), Handler)
server.daemon_threads = True
plain = server.server_address[1]
if len(sys.argv) > 2:
    secure = Server(("127.0.0.1", 0), Handler)
    secure.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    secure.socket = context.wrap_socket(secure.socket, server_side=True)
    threading.Thread(target=secure.serve_forever, daemon=True).start()
    print(plain, secure.server_address[1], flush=True)
else:
    print(plain, flush=True)
server.serve_forever()
