"""Who a client is while nobody has logged in: a network; and whose connections the CONNECT proxy carries: a file for
each, named after the proxy's end, that holds an address.

Apart and this low because the proxy writes what the doorway reads: two processes that share a folder. The surprising
thing: nothing of it goes through the connection, since whatever stood there a client could write as well. Only who may
write into PATH can say that somebody is somebody else.
"""

from __future__ import annotations

import contextlib
import ipaddress
import shutil
from pathlib import Path

FOLDER = "proxied"


def plain(address: str) -> str:
    """An address as a socket gives it. Where the server listens on ``::``, an IPv4 client comes as
    ``::ffff:192.0.2.1``; all of them would count for one network."""
    return address.removeprefix("::ffff:") if "." in address else address


def network(address: str) -> str:
    """What is counted for one client: IPv6 clients own a /64 each; an IPv4 address counts for itself."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


class Peers:
    """The connections that are open; ``folder`` is PATH. An ``end`` is the address and port that the gateway sees."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER

    def begin(self) -> None:
        """Forget every connection: those of a proxy that is gone are gone with it."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(mode=0o700, parents=True)

    def note(self, end: tuple[str, int], client: str) -> None:
        """The connection with ``end`` is that of ``client``, an address."""
        self._file(*end).write_text(client, encoding="ascii")

    def forget(self, end: tuple[str, int]) -> None:
        """It was closed, and its port is anybody's."""
        self._file(*end).unlink(missing_ok=True)

    def of(self, address: str, port: int | str) -> str:
        """From where a request really comes whose connection has this end: ``address`` where nobody carries it."""
        with contextlib.suppress(OSError, ValueError):
            return self._file(address, port).read_text(encoding="ascii") or address
        return address

    def _file(self, address: str, port: int | str) -> Path:
        return self._folder / f"{address}-{port}"
