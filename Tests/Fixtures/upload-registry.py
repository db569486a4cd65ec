#!/usr/bin/env python3
"""A registry that takes uploads and misbehaves on demand: the repository's name says how. Prints its port, then one line for each
request but HEAD. Standard library only."""
import hashlib, json, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

blobs, uploads, seen = {}, {}, set()
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
        if self.command != "HEAD":
            self.wfile.write(body)

    def first(self, what):
        with lock:
            known = what in seen
            seen.add(what)
            return not known

    def body(self, most=None):
        """The request's body, or its first bytes."""
        length = int(self.headers.get("Content-Length", 0))
        return self.rfile.read(min(length, most) if most is not None else length)

    def say(self):
        url = urlparse(self.path)
        print(self.command, url.path, *(f"{k}={v[0]}" for k, v in sorted(parse_qs(url.query).items())),
              self.headers.get("Content-Range", ""), flush=True)

    def place(self, name, number):
        return f"/v2/{name}/blobs/uploads/{number}?state={len(uploads[number])}"

    def do_HEAD(self):
        found = blobs.get(self.path.split("/")[-1])
        self.answer(200, found) if found is not None else self.answer(404)

    def do_GET(self):
        self.say()
        parts = urlparse(self.path).path.split("/")
        if self.path == "/v2/":
            return self.answer(200)
        if parts[2] == "forget" and self.first("forgotten"):
            uploads.pop(parts[5], None)
        if parts[5] not in uploads:
            return self.answer(404)
        if parts[2] == "liar":
            return self.answer(204, Range="0-99999999", Location=self.place(parts[2], parts[5]))
        got = len(uploads[parts[5]])
        self.answer(204, Range=f"0-{max(got - 1, 0)}", Location=self.place(parts[2], parts[5]))

    def do_DELETE(self):
        self.say()
        self.answer(204)

    def do_POST(self):
        self.say()
        url = urlparse(self.path)
        name, query = url.path.split("/")[2], parse_qs(url.query)
        if name == "full":
            return self.answer(507)
        if "mount" in query and name == "mounting" and query["from"] == ["origin"]:
            return self.answer(201, Location=f"/v2/{name}/blobs/{query['mount'][0]}")
        number = str(len(uploads))
        uploads[number] = b""
        if name == "nowhere":
            return self.answer(202)
        if name == "file":
            return self.answer(202, Location="file:///etc/passwd")
        self.answer(202, Location=self.place(name, number))

    def do_PATCH(self):
        self.say()
        parts = urlparse(self.path).path.split("/")
        name, number = parts[2], parts[5]
        if name in ("cut", "forget", "liar") and self.first("cut " + number):
            uploads[number] += self.body(700_000)
            self.connection.shutdown(2)
            self.close_connection = True
            return
        if name == "late" and self.headers.get("Authorization") != "Basic dTpw":
            self.body()
            return self.answer(401, WWW_Authenticate='Basic realm="rig"')
        if name == "forbidden":
            self.body()
            return self.answer(403)
        start = int(self.headers.get("Content-Range", "0-").split("-")[0])
        if start != len(uploads[number]):
            self.body()
            return self.answer(416)
        uploads[number] += self.body()
        self.answer(202, Location=self.place(name, number), Range=f"0-{len(uploads[number]) - 1}")

    def do_PUT(self):
        self.say()
        url = urlparse(self.path)
        parts, data = url.path.split("/"), self.body()
        if parts[3] == "manifests":
            told = "0" * 64 if parts[2] == "renames" else hashlib.sha256(data).hexdigest()
            return self.answer(201, Docker_Content_Digest="sha256:" + told)
        data = uploads.pop(parts[5]) + data
        wanted = parse_qs(url.query)["digest"][0]
        if wanted != "sha256:" + hashlib.sha256(data).hexdigest():
            return self.answer(400, b'{"errors":[{"code":"DIGEST_INVALID","message":"digest is another"}]}')
        blobs[wanted] = data
        self.answer(201)


class Server(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        pass  # Connections are cut on purpose.


server = Server(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(server.server_address[1], flush=True)
server.serve_forever()
