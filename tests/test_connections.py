"""Idle connections are closed where they are too many, and those of whoever has most of them."""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from gstack import connections, server
from gstack.connections import Connections
from gstack.doorway import Doorway
from tests.test_doorway import Exchange, Scope

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows the files of a process")

Connect = Callable[[str], socket.socket]


@pytest.fixture
def somewhere() -> Iterator[tuple[int, Connect]]:
    """The port of a server in this process, and how somebody at an address connects to it: gives the server's end, that
    knows at once that it was shut down."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

        def connect(address: str) -> socket.socket:
            stack.enter_context(socket.create_connection(listening.getsockname(), 10, (address, 0)))
            return stack.enter_context(listening.accept()[0])

        yield listening.getsockname()[1], connect


def _is_open(end: socket.socket) -> bool:
    end.setblocking(False)
    try:
        return end.recv(1) != b""
    except BlockingIOError:
        return True


def test_those_of_the_network_that_has_most_go_first(somewhere: tuple[int, Connect]) -> None:
    port, connect = somewhere
    one, many = connect("127.0.0.7"), [connect("127.0.0.8") for _ in range(9)]
    assert Connections(port, 8).relieve() == 3
    assert (_is_open(one), sum(map(_is_open, many))) == (True, 6)


def test_one_on_which_something_is_asked_stays_however_many_there_are(somewhere: tuple[int, Connect]) -> None:
    port, connect = somewhere
    clients = [connect("127.0.0.8") for _ in range(4)]
    crowd = Connections(port, 0)
    asking = clients[2].getpeername()
    for _ in range(2):
        crowd.begun((asking[0], str(asking[1])))
    crowd.ended((asking[0], str(asking[1])))
    assert crowd.relieve() == 3
    assert [_is_open(client) for client in clients] == [False, False, True, False]
    crowd.ended((asking[0], str(asking[1])))
    crowd.relieve()
    assert not _is_open(clients[2])


def test_nothing_is_closed_while_there_is_room_nor_of_anybody_elses(somewhere: tuple[int, Connect]) -> None:
    port, connect = somewhere
    clients = [connect("127.0.0.8") for _ in range(4)]
    assert Connections(port, 4).relieve() == 0
    assert Connections(1, 0).relieve() == 0
    assert all(map(_is_open, clients))


def test_where_the_system_shows_no_files_nothing_is_closed(
    somewhere: tuple[int, Connect], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    port, connect = somewhere
    client = connect("127.0.0.8")
    monkeypatch.setattr(connections, "FILES", tmp_path / "none")
    assert Connections(port, 0).relieve() == 0
    assert _is_open(client)


def test_the_doorway_says_on_which_connections_something_is_asked() -> None:
    crowd = Connections(1, 0)
    seen: list[dict[tuple[str, str], int]] = []

    def app(_environ: Any, start: Any) -> list[bytes]:
        seen.append(dict(crowd._asking))
        start("200 OK", [])
        return [b""]

    asyncio.run(Doorway(app, 1, connections=crowd)(Scope(client="[::ffff:192.0.2.7]:9"), Exchange()))
    assert (seen, dict(crowd._asking)) == ([{("192.0.2.7", "9"): 1}], {})


@pytest.mark.parametrize(
    ("soft", "hard", "allowed", "room"),
    [
        (1024, 524_288, 2048, 1024),
        (1024, resource.RLIM_INFINITY, 2048, 1024),
        (256, 1024, 1024, 512),
        (20_000, 20_000, 20_000, 1024),
        (64, 64, 64, 128),
    ],
)
def test_there_are_files_for_connections_and_for_all_else(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, allowed: int, room: int
) -> None:
    said: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _what: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _what, limits: said.append(limits))
    assert server.room_for_connections(32) == room
    assert said == [(allowed, hard)]


def test_to_look_for_them_takes_no_lock_from_sqlite(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    write = f"import sqlite3; sqlite3.connect({str(path)!r}, timeout=0).execute('INSERT INTO one VALUES (1)')"
    with closing(sqlite3.connect(path, isolation_level=None)) as store:
        store.execute("PRAGMA journal_mode=WAL")
        store.execute("CREATE TABLE one (x)")
        store.execute("BEGIN IMMEDIATE")
        Connections(1, 0).relieve()
        other = subprocess.run([sys.executable, "-c", write], capture_output=True, text=True, check=False)
    assert "locked" in other.stderr


def test_a_look_without_a_file_to_look_with_is_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(_self: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(Path, "iterdir", none_left)
    crowd = Connections(1, 0)
    with pytest.raises(OSError, match="Too many"):
        crowd.relieve()
    crowd.look()
