"""A load generator that costs little itself: prepared bytes on kept-alive TLS connections, a thread each.

requests or urllib3 would spend more CPU on two shared cores than the gateway does, and measure themselves.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Load:
    """What a number of connections got through in a number of seconds."""

    connections: int
    per_second: float
    p99_ms: float
    failed: int


def run(url: str, token: str, authority: str, connections: int, seconds: float) -> Load:
    """GET ``url`` over and over on ``connections`` connections for ``seconds``."""
    parts = urlsplit(url)
    request = (
        f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        f"Authorization: Bearer {token}\r\nAccept: application/json\r\n\r\n"
    ).encode()
    context = ssl.create_default_context(cafile=authority)
    times: list[float] = []
    failed = [0]
    go, stop = threading.Barrier(connections + 1), threading.Event()

    def connect() -> ssl.SSLSocket:
        raw = socket.create_connection((parts.hostname or "", parts.port or 443), timeout=5)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return context.wrap_socket(raw, server_hostname=parts.hostname)

    def work() -> None:
        mine: list[float] = []
        connection: ssl.SSLSocket | None = None
        go.wait()
        while not stop.is_set():
            started = time.perf_counter()
            try:
                if connection is None:
                    connection = connect()
                    started = time.perf_counter()  # connections are kept: a handshake is no request
                connection.sendall(request)
                good = _read(connection)
            except OSError:  # a handshake that never ends, or a connection that was to be kept and was not
                good = False
                if connection is not None:
                    connection.close()
                    connection = None
            failed[0] += not good
            if good:
                mine.append(time.perf_counter() - started)
        if connection is not None:
            connection.close()
        times.extend(mine)

    threads = [threading.Thread(target=work) for _ in range(connections)]
    for thread in threads:
        thread.start()
    go.wait()
    started = time.perf_counter()
    stop.wait(seconds)
    stop.set()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - started
    ordered = sorted(times) or [0.0]
    return Load(
        connections,
        len(ordered) / elapsed,
        ordered[int(len(ordered) * 0.99)] * 1000,
        failed[0],
    )


def _read(connection: ssl.SSLSocket) -> bool:
    """Read one answer with a Content-Length; whether it was a 200."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _some(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += _some(connection)
    return head.startswith(b"HTTP/1.1 200")


def _some(connection: ssl.SSLSocket) -> bytes:
    data = connection.recv(262144)
    if not data:
        raise ConnectionError("the server closed the connection")
    return data
