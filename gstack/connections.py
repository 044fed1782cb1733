"""The connections of a web worker: where they are too many, idle ones of the network that has most of them are closed.

Apart from the doorway because the server tells that of requests alone: a connection on which nothing is asked is known
to nobody but the kernel, and the server, which takes a bounded number of them, keeps one without a word for good. The
surprising thing: they are found among the files of this very process, and shut down under the server, which then sees
a client that has left. Where the system shows no such list (only Linux does), nothing is closed.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import structlog

from gstack.peers import network, plain

log = structlog.get_logger(__name__)

FILES = Path("/proc/self/fd")
PAUSE = 0.5  # seconds between two looks


class Connections:
    """Those of this process that came to ``port``; idle ones are closed where they are more than ``most``."""

    def __init__(self, port: int, most: int) -> None:
        self._port = port
        self._most = most
        self._asking: Counter[tuple[str, str]] = Counter()

    def begun(self, client: tuple[str, str]) -> None:
        """A request of ``client``, an address and a port, is under way."""
        self._asking[client] += 1

    def ended(self, client: tuple[str, str]) -> None:
        """... and answered."""
        self._asking[client] -= 1
        if not self._asking[client]:
            del self._asking[client]

    def watch(self) -> None:
        """Look after them from now on, in a thread of its own: the server's may be waiting for room."""

        def look() -> None:
            while True:
                time.sleep(PAUSE)
                self.look()

        threading.Thread(target=look, name="connections", daemon=True).start()

    def look(self) -> None:
        """Look once, and say what was done."""
        try:
            closed = self.relieve()
        except OSError as error:  # no file is left to look with; the server takes nobody else either
            log.warning("connections.unseen", why=error.strerror)
            return
        if closed:
            log.warning("connections.closed", number=closed, why="they were idle, and too many")

    def relieve(self) -> int:
        """Close what is too much, and an eighth more, so that others find room; returns how many."""
        with contextlib.suppress(OSError):
            if sum(1 for _ in FILES.iterdir()) <= self._most:
                return 0
        there = dict(self._found())
        if len(there) <= self._most:
            return 0
        sizes = Counter(network(address) for address, _ in there)
        idle = [client for client in there if client not in self._asking]
        idle.sort(key=lambda client: -sizes[network(client[0])])
        chosen = idle[: len(there) - self._most + self._most // 8]
        return sum(self._closed(there[client], client) for client in chosen)

    def _found(self) -> Iterator[tuple[tuple[str, str], int]]:
        for file in FILES.iterdir() if FILES.exists() else ():
            with contextlib.suppress(OSError), _socket(int(file.name)) as found:
                client = self._client(found)
                if client is not None:
                    yield client, int(file.name)

    def _client(self, found: socket.socket) -> tuple[str, str] | None:
        """Who is at the other end of one of our connections; None for another socket. OSError for one that listens."""
        if found.family not in (socket.AF_INET, socket.AF_INET6) or found.getsockname()[1] != self._port:
            return None
        address, port = found.getpeername()[:2]
        return plain(address), str(port)

    def _closed(self, number: int, client: tuple[str, str]) -> bool:
        with contextlib.suppress(OSError), _socket(number) as found:
            if self._client(found) == client and client not in self._asking:  # another one by now, or no longer idle
                found.shutdown(socket.SHUT_RDWR)
                return True
        return False


@contextlib.contextmanager
def _socket(number: int) -> Iterator[socket.socket]:
    """The socket that is open under a number, and stays open. OSError where it is none.

    Never a copy of it: it may be a file of SQLite's, and who closes any descriptor of that drops the locks that this
    process has on it (sqlite.org/howtocorrupt.html).
    """
    found = socket.socket(fileno=number)
    try:
        yield found
    finally:
        found.detach()
