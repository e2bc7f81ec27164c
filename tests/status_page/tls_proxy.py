"""A proxy that takes TLS from a browser and hands what is in it to a page, byte by byte, as those do that people run."""

from __future__ import annotations

import select
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path


@contextmanager
def tls_proxy(folder: Path, name: str, port: int) -> Iterator[int]:
    """Serve the page on `port` under this name, with a certificate of the proxy's own making; where it listens."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    made += ["-subj", f"/CN={name}", "-days", "2", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(made, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        threading.Thread(target=_accept, args=(listener, context, port), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, context: ssl.SSLContext, port: int) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_serve, args=(connection, context, port), daemon=True).start()


def _serve(connection: socket.socket, context: ssl.SSLContext, port: int) -> None:
    with (
        suppress(OSError),
        context.wrap_socket(connection, server_side=True) as browser,
        socket.create_connection(("127.0.0.1", port)) as page,
    ):
        # In one thread: a connection over TLS is not for two at once.
        while True:
            ready = [browser] if browser.pending() else select.select([browser, page], [], [])[0]
            for source, target in ((browser, page), (page, browser)):
                if source in ready:
                    data = source.recv(65536)
                    if not data:
                        return
                    target.sendall(data)
