"""A scripted OAuth service on loopback, reached as a proxy: it ends the TLS of every host with a certificate of its own.

The CLI lets nobody name another address of its service, but goes by `$HTTPS_PROXY` and trusts `$NODE_EXTRA_CA_CERTS`, as
networks with such a proxy need. So the whole exchange is had from the real program, with fake values, on loopback.
"""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from typing import Any

HOSTS = ("platform.claude.com", "api.anthropic.com")
CODE = "right"
TOKEN = "fake-access-token"
_ORGANIZATION = "00000000-0000-4000-8000-000000000001"
_ACCOUNT = "00000000-0000-4000-8000-000000000002"
_EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc")


def certificates(folder: Path) -> tuple[Path, Path]:
    """Make an authority and a certificate of the hosts, good for a day; the authority's, and the hosts' with its key."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    names = ",".join(f"DNS:{host}" for host in HOSTS)
    (folder / "names").write_text(f"subjectAltName={names}\n")
    openssl("req", "-x509", *_EC, "-days", "1", "-subj", "/CN=test", "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", *_EC, "-subj", "/CN=test", "-keyout", "host.key", "-out", "host.csr")
    signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "1", "-extfile", "names"]
    openssl("x509", "-req", "-in", "host.csr", *signed, "-out", "host.pem")
    with (folder / "host.pem").open("a") as both:
        both.write((folder / "host.key").read_text())
    return folder / "ca.pem", folder / "host.pem"


class OauthService(ThreadingTCPServer):
    """The service, for a `with` block. folder: where its certificates are made. asked: (path, body) of every request."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        self.authority, own = certificates(folder)
        self.asked: list[tuple[str, Any]] = []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(own)
        super().__init__(("127.0.0.1", 0), _Tunnel)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    @property
    def environment(self) -> dict[str, str]:
        """What makes the CLI come here."""
        proxy = f"http://127.0.0.1:{self.server_address[1]}"
        return {"HTTPS_PROXY": proxy, "NODE_EXTRA_CA_CERTS": str(self.authority)}

    def answer(self, path: str, body: Any) -> tuple[int, Any]:
        self.asked.append((path, body))
        owner = {"account": {"uuid": _ACCOUNT, "email": "nobody@example.com", "email_address": "nobody@example.com"}}
        owner["organization"] = {"uuid": _ORGANIZATION, "organization_type": "claude_pro"}
        if path == "/v1/oauth/token":
            if body.get("code") != CODE:
                return 400, {"error": "invalid_grant"}
            token = {"access_token": TOKEN, "refresh_token": "fake-refresh-token", "expires_in": 28800}
            return 200, {"token_type": "Bearer", "scope": "user:inference user:profile", **token, **owner}
        return (200, owner) if path == "/api/oauth/profile" else (404, {"error": "there is nothing here"})


class _Tunnel(BaseHTTPRequestHandler):
    server: OauthService

    def do_CONNECT(self) -> None:
        self.send_response(200)
        self.end_headers()
        if self.path.partition(":")[0] not in HOSTS:
            return
        try:
            with self.server.context.wrap_socket(self.connection, server_side=True) as inner:
                _Inner(inner, self.client_address, self.server)
        except (ssl.SSLError, ConnectionError):
            # The program has gone, as it does when it has what it wants.
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Inner(BaseHTTPRequestHandler):
    server: OauthService
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.loads(data) if data else None
        status, answer = self.server.answer(self.path.partition("?")[0], body)
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        """Say nothing."""
