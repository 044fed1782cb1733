"""The CONNECT proxy: where it leads, and where it does not."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gstack import certificates, server
from gstack import proxy as proxy_module
from gstack.peers import Peers, network
from gstack.proxy import CONNECTIONS, HEAD_BYTES, SHARE, Proxy, Refusal, destination, own_address
from gstack.settings import Settings, SettingsError


def _head(authority: str, method: str = "CONNECT") -> bytes:
    return f"{method} {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode()


@pytest.mark.parametrize("name", certificates.GOOGLE_NAMES)
def test_every_name_of_the_certificate_is_led_to_the_gateway(name: str) -> None:
    assert destination(_head(f"{name}:443")) == name


@pytest.mark.parametrize("written", ["Compute.GoogleAPIs.com:443", "compute.googleapis.com.:443"])
def test_names_are_read_as_dns_reads_them(written: str) -> None:
    assert destination(_head(written)) == "compute.googleapis.com"


@pytest.mark.parametrize(
    "authority",
    [
        "example.com:443",
        "compute.googleapis.com:22",
        "compute.googleapis.com:0443",
        "compute.googleapis.com",
        "127.0.0.1:443",
        "[::1]:443",
        "storage.googleapis.com:443",
        "evilcompute.googleapis.com:443",
        "compute.googleapis.com.evil.example:443",
        "user@compute.googleapis.com:443",
        "compute.googleapis.com\x00:443",
    ],
)
def test_every_other_destination_is_refused(authority: str) -> None:
    with pytest.raises(Refusal, match="nowhere else") as refused:
        destination(_head(authority))
    assert refused.value.status == "403 Forbidden"


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "connect"])
def test_only_connect_is_served(method: str) -> None:
    with pytest.raises(Refusal) as refused:
        destination(_head("compute.googleapis.com:443", method))
    assert refused.value.status == "405 Method Not Allowed"


@pytest.mark.parametrize(
    "head", [b"\r\n\r\n", b"\x16\x03\x01\x02\r\n\r\n", b"CONNECT a\r\n\r\n", b"CONNECT a b c d\r\n\r\n"]
)
def test_what_is_no_http_is_told_so(head: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        destination(head)
    assert refused.value.status == "400 Bad Request"


@pytest.fixture
def with_proxy(tmp_path: Path) -> Callable[..., Any]:
    peers = Peers(tmp_path)
    peers.begin()
    return partial(_with_proxy, peers)


def _with_proxy(peers: Peers, use: Callable[[int, Proxy], Awaitable[Any]], *, answering: bool = True) -> Any:
    """What ``use`` gives with a proxy before a server that answers every line with its capitals, and at the end says
    from where it was asked."""

    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()
        writer.write(f"BYE {peers.of(*writer.get_extra_info('peername')[:2])}\n".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def main() -> Any:
        behind = await asyncio.start_server(shout, "127.0.0.1", 0)
        target = behind.sockets[0].getsockname()
        if not answering:
            behind.close()
            await behind.wait_closed()
        proxy = Proxy(target, peers)
        front = await asyncio.start_server(proxy.handle, "127.0.0.1", 0, limit=HEAD_BYTES)
        try:
            async with asyncio.timeout(60):
                return await use(front.sockets[0].getsockname()[1], proxy)
        finally:
            front.close()
            behind.close()

    return asyncio.run(main())


async def _said(port: int, *said: bytes, by: str = "127.0.0.1") -> bytes:
    """All that the proxy answers to ``said``, up to its end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(by, 0))
    for part in said:
        writer.write(part)
        await writer.drain()
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def test_bytes_pass_both_ways_and_each_side_hears_the_other_end(with_proxy: Callable[..., Any]) -> None:
    async def use(port: int, _proxy: Proxy) -> bytes:
        return await _said(port, _head("compute.googleapis.com:443"), b"hello\n")

    answer = with_proxy(use)
    assert answer == b"HTTP/1.1 200 Connection established\r\n\r\nHELLO\nBYE 127.0.0.1\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8 on its loopback")
def test_the_gateway_is_told_whose_a_connection_is_and_for_a_while_after_it_was_closed(
    with_proxy: Callable[..., Any], tmp_path: Path
) -> None:
    async def use(port: int, _proxy: Proxy) -> tuple[bytes, bytes]:
        lie = b"CONNECT compute.googleapis.com:443 HTTP/1.1\r\nX-Forwarded-For: 127.0.0.9\r\n\r\n"
        return await _said(port, lie, b"", by="127.0.0.7"), await _said(port, lie, b"", by="127.0.0.8")

    first, second = with_proxy(use)
    assert first.endswith(b"BYE 127.0.0.7\n") and second.endswith(b"BYE 127.0.0.8\n")
    noted = [file.read_text() for file in (tmp_path / "proxied").iterdir()]
    assert sorted(noted) == ["127.0.0.7", "127.0.0.8"]


def test_whose_a_connection_was_is_forgotten_in_time_and_not_of_the_next_one_of_its_port(tmp_path: Path) -> None:
    peers, end = Peers(tmp_path), ("127.0.0.1", 40_000)
    peers.begin()
    proxy, older, newer = Proxy(("127.0.0.1", 1), peers), object(), object()
    peers.note(end, "192.0.2.7")
    proxy._noted[end] = newer
    proxy._forget(end, older)
    assert peers.of(*end) == "192.0.2.7"
    proxy._forget(end, newer)
    assert (peers.of(*end), proxy._noted) == ("127.0.0.1", {})


def test_a_closed_connection_is_forgotten_by_itself(
    with_proxy: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy_module, "AFTERWARDS_SECONDS", 0.0)

    async def use(port: int, proxy: Proxy) -> None:
        await _said(port, _head("compute.googleapis.com:443"))
        while proxy._noted:
            await asyncio.sleep(0)

    with_proxy(use)
    assert list((tmp_path / "proxied").iterdir()) == []


@pytest.mark.parametrize(("peer", "origin"), [("192.0.2.7", "192.0.2.7"), ("2001:db8::7", "2001:db8::/64")])
@pytest.mark.parametrize("here", ["127.0.0.1", "::1"])
def test_one_network_has_a_share_of_the_connections_and_this_machine_all(
    tmp_path: Path, peer: str, origin: str, here: str
) -> None:
    proxy = Proxy(("127.0.0.1", 1), Peers(tmp_path))
    proxy._open.update({origin: SHARE, network(here): CONNECTIONS - SHARE - 1})
    proxy._check_room(peer)
    proxy._check_room(here)
    proxy._open[origin] += 1
    with pytest.raises(Refusal, match="are open from"):
        proxy._check_room(peer)
    proxy._open[network(here)] += 1
    with pytest.raises(Refusal, match="connections are open"):
        proxy._check_room(here)


def test_a_refusal_is_a_sentence_and_nothing_is_joined(with_proxy: Callable[..., Any]) -> None:
    async def use(port: int, _proxy: Proxy) -> bytes:
        return await _said(port, _head("example.com:443"))

    answer = with_proxy(use)
    assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n") and answer.endswith(b"nowhere else.\n")


def test_a_head_that_never_ends_is_refused(with_proxy: Callable[..., Any]) -> None:
    async def use(port: int, _proxy: Proxy) -> bytes:
        return await _said(port, b"CONNECT compute.googleapis.com:443 HTTP/1.1\r\nX: " + b"x" * 4 * HEAD_BYTES)

    assert with_proxy(use).startswith(b"HTTP/1.1 431 ")


def test_a_client_that_leaves_in_the_middle_of_its_head_is_told_so(with_proxy: Callable[..., Any]) -> None:
    async def use(port: int, _proxy: Proxy) -> bytes:
        return await _said(port, b"CONNECT compute.goo")

    assert with_proxy(use).startswith(b"HTTP/1.1 408 ")


def test_a_gateway_that_does_not_answer_gives_502(with_proxy: Callable[..., Any]) -> None:
    async def use(port: int, _proxy: Proxy) -> bytes:
        return await _said(port, _head("compute.googleapis.com:443"))

    assert with_proxy(use, answering=False).startswith(b"HTTP/1.1 502 ")


def test_too_many_connections_are_refused_and_room_comes_back(with_proxy: Callable[..., Any]) -> None:
    async def use(port: int, proxy: Proxy) -> list[bytes]:
        proxy._open["192.0.2.7"] = CONNECTIONS
        refused = await _said(port)  # nothing is waited for
        proxy._open["192.0.2.7"] = 0
        return [refused, await _said(port, _head("compute.googleapis.com:443"))]

    refused, served = with_proxy(use)
    assert refused.startswith(b"HTTP/1.1 503 ") and served.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(("bind", "reached"), [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("gce.example", "gce.example")])
def test_the_gateway_is_reached_where_it_listens(bind: str, reached: str) -> None:
    assert own_address(Settings({"GSTACK_BIND_ADDRESS": bind})) == (reached, 5000)


def test_a_certificate_without_googles_names_stops_the_start_in_words(tmp_path: Path) -> None:
    certificates.ensure_certificates(tmp_path, ["localhost"])
    settings = Settings({"PATH": str(tmp_path), "GSTACK_PROXY_PORT": 3128})
    with pytest.raises(SettingsError, match="gstack-configure --transparent"):
        server._check_proxy(settings)


def test_a_proxy_before_a_gateway_without_tls_is_refused(tmp_path: Path) -> None:
    settings = Settings({"PATH": str(tmp_path), "GSTACK_PROXY_PORT": 3128, "GSTACK_TLS": False})
    with pytest.raises(SettingsError, match="GSTACK_TLS"):
        server._check_proxy(settings)
