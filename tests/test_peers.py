"""Whose the proxy's connections are."""

from __future__ import annotations

from pathlib import Path

import pytest

from gstack.peers import Peers


@pytest.mark.parametrize("end", [("127.0.0.1", 40_000), ("::1", 40_000)])
def test_a_connection_is_its_clients_until_it_is_closed(tmp_path: Path, end: tuple[str, int]) -> None:
    proxy, gateway = Peers(tmp_path), Peers(tmp_path)
    proxy.begin()
    assert gateway.of(*end) == end[0]
    proxy.note(end, "2001:db8::7")
    assert gateway.of(*end) == gateway.of(end[0], str(end[1])) == "2001:db8::7"
    assert gateway.of("127.0.0.2", end[1]) == "127.0.0.2" and gateway.of(end[0], 40_001) == end[0]
    proxy.forget(end)
    proxy.forget(end)
    assert gateway.of(*end) == end[0]


def test_connections_of_a_proxy_that_died_are_forgotten_and_nobody_else_reads_of_others(tmp_path: Path) -> None:
    peers = Peers(tmp_path)
    peers.begin()
    peers.note(("127.0.0.1", 40_000), "192.0.2.1")
    peers.begin()
    assert peers.of("127.0.0.1", 40_000) == "127.0.0.1"
    assert (tmp_path / "proxied").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("odd", ["", "é", "x\0y", "../../etc/hostname", "a" * 300])
def test_an_address_that_no_connection_can_have_stays_what_it_is(tmp_path: Path, odd: str) -> None:
    peers = Peers(tmp_path)
    peers.begin()
    assert peers.of(odd, 1) == odd
