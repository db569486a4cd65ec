#!/usr/bin/env python3
"""A token server for docker-registry's bearer authentication (distribution-spec, "Token Authentication"). Everybody may pull
repositories that begin with "public/"; others want u:p, or by POST (OAuth 2) the refresh token "refresh". Arguments: certificate, key
(PEM). Prints its port, then a line for each token: how it was asked for, and the scopes."""
import base64, json, subprocess, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlparse

certificate, key = sys.argv[1:3]


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def token(access):
    der = subprocess.run(["openssl", "x509", "-in", certificate, "-outform", "DER"], check=True, capture_output=True).stdout
    header = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
    now = int(time.time())
    claims = {"iss": "rig-auth", "sub": "", "aud": "rig-registry", "exp": now + 300, "nbf": now - 10, "iat": now,
              "jti": str(now), "access": access}
    text = encode(json.dumps(header).encode()) + b"." + encode(json.dumps(claims).encode())
    signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key], input=text, check=True, capture_output=True)
    return (text + b"." + encode(signature.stdout)).decode()


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_GET(self):
        query = parse_qs(urlparse(self.path).query)
        authorization = self.headers.get("Authorization")
        if authorization not in (None, "Basic " + base64.b64encode(b"u:p").decode()):
            self.send_response(401)
            self.end_headers()
            return
        self.give(query.get("scope", []), authorization)

    def do_POST(self):
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        if form["grant_type"] != ["refresh_token"] or form["refresh_token"] != ["refresh"]:
            self.send_response(401)
            self.end_headers()
            return
        self.give(form.get("scope", [""])[0].split(), True)

    def give(self, scopes, known):
        print(self.command, *scopes, flush=True)
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":")
            if name.startswith("public/") and actions == "pull" or known:
                access.append({"type": kind, "name": name, "actions": actions.split(",")})
        body = json.dumps({"access_token" if self.command == "POST" else "token": token(access)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
