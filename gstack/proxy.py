"""The CONNECT proxy: ``python -m gstack.proxy [--config FILE]``, for clients that cannot be told another endpoint.

Apart from the server because it speaks neither TLS nor GCE's API: it joins a client that asked for one of Google's
names to the gateway's own port, byte for byte. The surprising thing: it never resolves a name and never connects to
any other place, so it cannot be used to reach anything that the gateway's port does not give anyway. But whoever comes
through it has a connection from this machine: :mod:`gstack.peers` says whose it is, for the log and for limits.

Source of the protocol: RFC 9110, section 9.3.6.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections import Counter
from pathlib import Path

import structlog

from gstack import logs
from gstack.certificates import GOOGLE_NAMES
from gstack.peers import Peers, network, plain
from gstack.settings import Settings, SettingsError, is_loopback, load

log = structlog.get_logger(__name__)

HEAD_BYTES = 8192
HEAD_SECONDS = 10.0
CONNECT_SECONDS = 5.0
IDLE_SECONDS = 600.0  # above the longest wait of an operation
CONNECTIONS = 512
SHARE = 128  # of one network; this machine may have them all
# How long it is known of a closed connection whose it was: requests that came by it may not have been read.
AFTERWARDS_SECONDS = 60.0
CHUNK_BYTES = 65_536
PARENT_POLL_SECONDS = 0.5


class Refusal(Exception):
    """A request that is not joined to anything: its status line and the sentence below it."""

    def __init__(self, status: str, why: str) -> None:
        super().__init__(why)
        self.status = status


class Proxy:
    """Joins CONNECT requests for Google's names to the gateway at ``target``, an address and a port, and notes in
    ``peers`` for whom."""

    def __init__(self, target: tuple[str, int], peers: Peers) -> None:
        self._target = target
        self._peers = peers
        self._open: Counter[str] = Counter()  # by network
        self._noted: dict[tuple[str, int], object] = {}

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, from its first byte to its last."""
        peer = plain((writer.get_extra_info("peername") or ("",))[0])
        origin = network(peer)
        self._open[origin] += 1
        try:
            self._check_room(peer)
            await self._serve(reader, writer, peer)
        except Refusal as refusal:
            log.info("proxy.refused", address=peer, status=refusal.status, why=str(refusal))
            writer.write(_answer(refusal.status, f"{refusal}\n"))
            with contextlib.suppress(OSError):
                await writer.drain()
        except OSError as error:
            log.debug("proxy.cut", address=peer, why=str(error))
        finally:
            self._open[origin] -= 1
            if not self._open[origin]:
                del self._open[origin]
            await _closed(writer)

    def _check_room(self, peer: str) -> None:
        """Before a byte is waited for: silent connections take room as well."""
        origin = network(peer)
        if self._open.total() > CONNECTIONS:
            raise Refusal("503 Service Unavailable", f"More than {CONNECTIONS} connections are open.")
        if self._open[origin] > SHARE and not is_loopback(peer):
            raise Refusal("503 Service Unavailable", f"More than {SHARE} connections are open from {origin}.")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: str) -> None:
        name = destination(await _head(reader))
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                far_reader, far_writer = await asyncio.open_connection(*self._target)
        except (OSError, TimeoutError) as error:
            raise Refusal("502 Bad Gateway", "The gateway does not answer.") from error
        log.info("proxy.joined", address=peer, name=name)
        end = far_writer.get_extra_info("sockname")[:2]
        note = self._noted[end] = object()
        try:
            self._peers.note(end, peer)  # before the gateway gets a byte
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await writer.drain()
            await _splice((reader, far_writer), (far_reader, writer))
        finally:
            asyncio.get_running_loop().call_later(AFTERWARDS_SECONDS, self._forget, end, note)
            await _closed(far_writer)

    def _forget(self, end: tuple[str, int], note: object) -> None:
        """Unless the port is another connection's by now."""
        if self._noted.get(end) is note:
            del self._noted[end]
            self._peers.forget(end)


def destination(head: bytes) -> str:
    """The name that ``head``, a request up to its empty line, asks to be joined to. Raises :class:`Refusal` for
    anything but CONNECT to port 443 of one of Google's names."""
    line = head.split(b"\r\n", 1)[0].decode("latin-1")
    words = line.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise Refusal("400 Bad Request", "This is no HTTP request.")
    method, authority, _version = words
    if method != "CONNECT":
        raise Refusal("405 Method Not Allowed", "This proxy serves CONNECT alone: use https.")
    name, _, port = authority.rpartition(":")
    name = name.lower().removesuffix(".")
    if name not in GOOGLE_NAMES or port != "443":
        raise Refusal("403 Forbidden", f"This proxy leads to {', '.join(GOOGLE_NAMES)}, port 443, and nowhere else.")
    return name


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        async with asyncio.timeout(HEAD_SECONDS):
            return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, TimeoutError) as error:
        raise Refusal("408 Request Timeout", "The request did not come to its end.") from error
    except asyncio.LimitOverrunError as error:
        raise Refusal("431 Request Header Fields Too Large", f"A head has at most {HEAD_BYTES} bytes.") from error


async def _splice(*ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    """Carry bytes both ways until both have ended, or either breaks or is silent for too long."""
    with contextlib.suppress(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            for way in ways:
                group.create_task(_carry(*way))


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        async with asyncio.timeout(IDLE_SECONDS):
            chunk = await reader.read(CHUNK_BYTES)
            if not chunk:
                break
            writer.write(chunk)
            await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _answer(status: str, text: str) -> bytes:
    body = text.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


async def listen(settings: Settings, target: tuple[str, int]) -> asyncio.Server:
    """The proxy, listening where ``settings`` say. Raises OSError when it cannot."""
    address, port = settings["GSTACK_PROXY_ADDRESS"], settings["GSTACK_PROXY_PORT"]
    peers = Peers(settings.folder)
    server = await asyncio.start_server(
        Proxy(target, peers).handle, address, port, limit=HEAD_BYTES, start_serving=False
    )
    peers.begin()
    await server.start_serving()
    return server


def own_address(settings: Settings) -> tuple[str, int]:
    """Where the gateway is reached from its own machine."""
    address = settings["GSTACK_BIND_ADDRESS"]
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address), settings["GSTACK_PORT"]  # noqa: S104 - no listening


async def _run(settings: Settings, parent: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if os.getppid() != parent:
        return
    server = await listen(settings, own_address(settings))
    print("READY", flush=True)
    while not stop.is_set() and os.getppid() == parent:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), PARENT_POLL_SECONDS)
    server.close()  # what is joined ends with this process: the gateway behind it is stopping too


def main() -> int:
    """Serve until SIGTERM, or until the gateway that started us is gone."""
    parser = argparse.ArgumentParser(prog="python -m gstack.proxy", description="gstack's CONNECT proxy")
    parser.add_argument("--config", type=Path, default=None, help="configuration file")
    parser.add_argument("--parent", type=int, default=os.getppid(), metavar="PID", help="whom to end with")
    options = parser.parse_args()
    try:
        settings = load(options.config)
        logs.configure(settings)
        asyncio.run(_run(settings, options.parent))
    except (SettingsError, OSError) as error:
        print(f"gstack proxy: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
