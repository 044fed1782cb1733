"""Bodies are taken in before a request has a thread: slow, large and broken ones, and what the application sees."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask, request

from gstack import doorway
from gstack.doorway import Doorway, environ_of
from gstack.peers import Peers
from gstack.protocol import decoding, edges

NEVER = None


class Headers(dict[str, str]):
    """As RSGI has them; no header twice."""


@dataclass
class Scope:
    headers: Any = field(default_factory=Headers)
    http_version: str = "1.1"
    server: str = "10.0.0.1:5000"
    client: str = "10.0.0.2:41000"
    scheme: str = "https"
    method: str = "POST"
    path: str = "/compute/v1/x"
    query_string: str = ""
    authority: str | None = None


@dataclass
class Exchange:
    """A client that sends ``pieces``; NEVER is where it falls silent."""

    pieces: Iterable[bytes | None] = ()
    read: int = 0
    answer: tuple[int, dict[str, str], bytes] | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            if piece is NEVER:
                await asyncio.Event().wait()
            else:
                self.read += len(piece)
                yield piece

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.answer = status, dict(headers), body

    def response_empty(self, status: int, headers: list[tuple[str, str]]) -> None:
        self.answer = status, dict(headers), b""


def sent(length: int | None = None, **more: Any) -> Scope:
    headers = {"transfer-encoding": "chunked"} if length is None else {"content-length": str(length)}
    return Scope(headers=Headers(headers | more.pop("headers", {})), **more)


def asked(scope: Scope, exchange: Exchange, patience: float = 60, door: Doorway | None = None) -> Any:
    """The status, and what the application saw of the body or the reason of the refusal."""
    app = Flask("test")
    app.add_url_rule("/<path:path>", "echo", lambda path: {"seen": len(request.get_data())}, methods=["GET", "POST"])
    edges.register(app, 1)
    door = door or Doorway(app, 1, patience)
    asyncio.run(door(scope, exchange))
    assert exchange.answer is not None
    status, headers, body = exchange.answer
    told = json.loads(body) if body else {}
    if status >= 400 and told:
        assert headers["Connection"] == "close"
        return status, told["error"]["errors"][0]["reason"]
    return status, told.get("seen")


def _refusing() -> Flask:
    """An application that knows no path, but why a request was not taken in."""
    app = Flask("test")
    edges.register(app, 1)
    return app


def test_a_body_is_handed_on_as_a_whole() -> None:
    assert asked(sent(10), Exchange([b"12345", b"67890"])) == (200, 10)
    assert asked(sent(), Exchange([b"12345", b"67890"])) == (200, 10)
    assert asked(Scope(http_version="2"), Exchange([b"123"])) == (200, 3)


def test_where_no_body_is_declared_none_is_waited_for() -> None:
    assert asked(Scope(), Exchange([NEVER])) == (200, 0)
    assert asked(sent(0), Exchange([NEVER])) == (200, 0)


@pytest.mark.parametrize("length", [100, None])
@pytest.mark.parametrize("before", [[], [b""], [b"{"]])
def test_a_body_that_falls_silent_is_a_408_and_never_has_a_thread(length: int | None, before: list[bytes]) -> None:
    assert asked(sent(length), Exchange([*before, NEVER]), patience=0) == (408, "requestTimeout")


def test_a_body_that_keeps_its_rate_may_take_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorway, "LEAST_RATE", 0.001)  # bytes a second: one byte is worth a quarter of an hour
    assert asked(sent(2), Exchange([b"{", b"}"]), patience=0.0) == (200, 2)


@pytest.mark.parametrize(
    ("path", "limit"),
    [("/compute/v1/x", decoding.LIMIT), ("/token", decoding.LIMIT), ("//batch/compute/v1", edges.LARGEST)],
)
@pytest.mark.parametrize("declared", [True, False])
def test_a_body_that_is_too_large_is_read_to_its_end_and_answered_with_a_413(
    path: str, limit: int, declared: bool
) -> None:
    exchange = Exchange([b" " * (limit // 2)] * 3)
    assert asked(sent(limit // 2 * 3 if declared else None, path=path), exchange) == (413, "uploadTooLarge")
    assert exchange.read == limit // 2 * 3


def test_a_body_without_end_is_read_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorway, "MOST_READ", 3 * decoding.LIMIT)
    exchange = Exchange(b" " * decoding.LIMIT for _ in range(1000))
    assert asked(sent(), exchange) == (413, "uploadTooLarge")
    assert exchange.read == 4 * decoding.LIMIT


@pytest.mark.parametrize("headers", [{"expect": "100-continue"}, {}])
def test_who_waits_to_be_told_or_has_far_too_much_is_refused_at_once(headers: dict[str, str]) -> None:
    length = decoding.LIMIT + 1 if headers else doorway.MOST_READ + 1
    exchange = Exchange([b"x"])
    assert asked(sent(length, headers=headers), exchange) == (413, "uploadTooLarge")
    assert exchange.read == 0


def test_half_of_a_request_is_never_carried_out() -> None:
    assert asked(sent(10), Exchange([b"1234"])) == (400, None)


def test_a_body_in_chunks_that_breaks_off_is_never_carried_out() -> None:
    for pieces in ([b"", b""], [b"123", b"", b""]):  # as the server tells it, and trailers
        assert asked(sent(), Exchange(pieces)) == (400, "badRequest")
    assert asked(sent(), Exchange([b"123", b""])) == (200, 3)
    assert asked(Scope(http_version="2"), Exchange([b"123", b"", b""])) == (200, 3)  # its frames may be empty


def test_bodies_on_their_way_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorway, "MOST_HELD", 100)
    assert asked(sent(101), Exchange([b"x" * 101])) == (503, "backendError")
    door = Doorway(Flask("test"), 1)
    for _ in range(3):  # what was answered is held no longer
        exchange = Exchange([b"x" * 60])
        asyncio.run(door(sent(60), exchange))
        assert exchange.answer is not None
        assert exchange.answer[0] == 404


@pytest.mark.parametrize("slow", ["192.0.2.7", "[2001:db8::{}]"])
def test_bodies_that_come_slowly_make_room_for_those_of_other_networks(
    monkeypatch: pytest.MonkeyPatch, slow: str
) -> None:
    monkeypatch.setattr(doorway, "MOST_HELD", 100)

    async def crowd(door: Doorway) -> tuple[list[int], int]:
        held = [Exchange([b"x" * size, NEVER]) for size in (30, 31, 29)]
        slowly = [
            asyncio.create_task(door(sent(1000, client=f"{slow.format(number)}:9"), exchange))
            for number, exchange in enumerate(held)
        ]
        while sum(exchange.read for exchange in held) < 90:
            await asyncio.sleep(0)
        other = Exchange([b"x" * 30, b"x" * 25])
        await door(sent(55, client="192.0.2.8:9"), other)
        await asyncio.wait(slowly[:2])
        for task in slowly:
            task.cancel()
        await asyncio.wait(slowly)
        assert other.answer is not None
        return [exchange.answer[0] for exchange in held if exchange.answer], other.answer[0]

    door = Doorway(_refusing(), 1, 60)
    assert asyncio.run(crowd(door)) == ([503, 503], 404)  # the largest one, and then the next
    assert (door._held, door._incoming) == (0, {})


def test_who_sends_one_body_too_many_loses_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorway, "MOST_HELD", 100)

    async def crowd(door: Doorway) -> tuple[int, bool]:
        small, large = Exchange([b"x" * 40, NEVER]), Exchange([b"x" * 61, NEVER])
        waits = asyncio.create_task(door(sent(1000, client="192.0.2.7:9"), small))
        while not small.read:
            await asyncio.sleep(0)
        await door(sent(1000, client="192.0.2.8:9"), large)
        still = not waits.done()
        waits.cancel()
        await asyncio.wait([waits])
        assert large.answer is not None
        return large.answer[0], still

    assert asyncio.run(crowd(Doorway(_refusing(), 1, 60))) == (503, True)


@pytest.mark.parametrize(("name", "most"), [("MOST_HELD", 100), ("MOST_WAITING", 2)])
def test_requests_that_wait_for_a_thread_do_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch, name: str, most: int
) -> None:
    monkeypatch.setattr(doorway, name, most)
    goes_on = threading.Event()
    app = _refusing()

    def slow(environ: Any, start: Any) -> Any:
        goes_on.wait(30)
        return app(environ, start)

    async def crowd(door: Doorway) -> list[int]:
        exchanges = [Exchange([b"x" * 40]) for _ in range(3)]
        tasks = [asyncio.create_task(door(sent(40), exchange)) for exchange in exchanges]
        await asyncio.sleep(0.05)
        goes_on.set()
        await asyncio.gather(*tasks)
        return [exchange.answer[0] for exchange in exchanges if exchange.answer is not None]

    door = Doorway(slow, 1)
    for _ in range(2):  # what was answered waits no longer
        goes_on.clear()
        assert asyncio.run(crowd(door)) == [404, 404, 503]


def test_requests_whose_bodies_do_not_come_are_bounded_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorway, "MOST_WAITING", 1)

    async def crowd(door: Doorway) -> tuple[int, int]:
        silent = asyncio.create_task(door(sent(1), Exchange([NEVER])))
        await asyncio.sleep(0)
        late = Exchange([b"x"])
        await door(sent(1), late)
        silent.cancel()
        await asyncio.wait([silent])
        after = Exchange([b"x"])
        await door(sent(1), after)
        assert late.answer is not None and after.answer is not None
        return late.answer[0], after.answer[0]

    assert asyncio.run(crowd(Doorway(Flask("test"), 1))) == (503, 404)


def test_bodies_that_never_come_make_room_for_requests_of_other_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorway, "MOST_WAITING", 3)

    async def crowd(door: Doorway) -> tuple[list[int | None], list[int]]:
        held = [Exchange([NEVER]) for _ in range(3)]
        slowly = [asyncio.create_task(door(sent(9, client="192.0.2.7:9"), exchange)) for exchange in held]
        await asyncio.sleep(0)
        served = []
        for _ in range(3):  # the last one finds one of each network: nobody has more than their share
            other = Exchange([NEVER])
            slowly.append(asyncio.create_task(door(sent(9, client=f"192.0.2.{len(served)}:9"), other)))
            await asyncio.sleep(0)
            served.append(other)
        await asyncio.wait(slowly[:2])
        for task in slowly:
            task.cancel()
        await asyncio.wait(slowly)
        return [exchange.answer and exchange.answer[0] for exchange in held], [
            exchange.answer[0] for exchange in served if exchange.answer
        ]

    assert asyncio.run(crowd(Doorway(Flask("test"), 1, 60))) == ([503, 503, None], [503])


def test_a_defect_in_front_of_the_application_is_a_500_in_googles_shape_and_logged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events: list[tuple[str, str]] = []
    monkeypatch.setattr(doorway, "log", SimpleNamespace(exception=lambda event, path: events.append((event, path))))

    def broken(_environ: Any, _start: Any) -> Any:
        raise ValueError("defect")

    exchange = Exchange()
    asyncio.run(Doorway(broken, 1)(Scope(path="/compute/v1/projects/AKEYofSomebody"), exchange))
    assert exchange.answer is not None
    assert json.loads(exchange.answer[2])["error"]["errors"][0]["reason"] == "internalError"
    assert (exchange.answer[0], events) == (500, [("request.failed", "/compute/v1/projects/***")])


def test_the_application_sees_what_any_wsgi_server_shows_it() -> None:
    headers = {"content-type": "a/b", "content-length": "3", "x-request-id": "x", "cookie": "a=b", "host": "h:1"}
    environ = environ_of(Scope(headers=Headers(headers), path="/ü", query_string="a=%20€", client="[::1]:9"), b"abc")
    assert {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/Ã¼",
        "QUERY_STRING": "a=%20â\x82¬",
        "SERVER_NAME": "10.0.0.1",
        "SERVER_PORT": "5000",
        "REMOTE_ADDR": "::1",
        "CONTENT_TYPE": "a/b",
        "CONTENT_LENGTH": "3",
        "HTTP_X_REQUEST_ID": "x",
        "HTTP_COOKIE": "a=b",
        "HTTP_HOST": "h:1",
        "wsgi.url_scheme": "https",
    }.items() <= environ.items()
    assert environ["wsgi.input"].read() == b"abc"


def test_the_authority_that_was_asked_goes_before_the_host_header() -> None:
    assert environ_of(Scope(headers=Headers(host="a"), authority="b:2"), b"")["HTTP_HOST"] == "b:2"


@pytest.mark.parametrize(
    ("client", "seen"),
    [("[::ffff:192.0.2.7]:9", "192.0.2.7"), ("[::ffff:c000:207]:9", "::ffff:c000:207"), ("192.0.2.7:9", "192.0.2.7")],
)
def test_a_client_counts_for_its_own_address_on_whatever_the_server_listens(client: str, seen: str) -> None:
    assert environ_of(Scope(client=client), b"")["REMOTE_ADDR"] == seen


def test_a_header_cannot_be_given_under_another_ones_name() -> None:
    assert "HTTP_X_FORWARDED_FOR" not in environ_of(Scope(headers=Headers(x_forwarded_for="1.2.3.4")), b"")


@pytest.mark.parametrize(("client", "seen"), [("127.0.0.1:9", "192.0.2.7"), ("127.0.0.1:8", "127.0.0.1")])
def test_the_application_sees_who_comes_through_the_proxy(tmp_path: Path, client: str, seen: str) -> None:
    peers = Peers(tmp_path)
    peers.begin()
    peers.note(("127.0.0.1", 9), "192.0.2.7")
    app = Flask("test")
    app.add_url_rule("/compute/v1/x", "who", lambda: {"seen": request.remote_addr})
    door = Doorway(app, 1, peers=peers)
    assert asked(Scope(method="GET", client=client), Exchange(), door=door) == (200, seen)


def test_who_is_gone_before_there_is_a_thread_is_still_known(tmp_path: Path) -> None:
    peers = Peers(tmp_path)
    peers.begin()
    peers.note(("127.0.0.1", 9), "192.0.2.7")
    app = Flask("test")
    app.add_url_rule("/compute/v1/x", "who", lambda: {"seen": request.remote_addr}, methods=["POST"])

    class Gone(Exchange):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"x"
            peers.forget(("127.0.0.1", 9))

    door = Doorway(app, 1, peers=peers)
    assert asked(sent(1, client="127.0.0.1:9"), Gone(), door=door) == (200, "192.0.2.7")
