"""Between the server and the WSGI application: a request's body is read in the event loop, before it has a thread.

Apart from the application because no thread may wait for a client: one that sends its body slowly, or never, would keep
it for as long as it likes, and the server has no limit of its own. The surprising things: a body that is too large is
read on and dropped for a while, or its client, which is still sending, would see a broken connection and no 413; and
where there is no room for a body, it is not the newest one that has to go, but one of whoever holds most.

Source of the interface: https://github.com/emmett-framework/granian/blob/master/docs/spec/RSGI.md
"""

from __future__ import annotations

import asyncio
import io
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import structlog
from granian.rsgi import ProtocolClosed, ProtocolError  # type: ignore[attr-defined]  # imported there for users
from werkzeug.test import run_wsgi_app

from gstack.connections import Connections
from gstack.errors import GceError
from gstack.logs import shown_name
from gstack.peers import Peers, network, plain
from gstack.protocol import decoding, edges, pathforms, pipeline, transport

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

log = structlog.get_logger(__name__)

# Seconds that a body may take, and the bytes a second that give it more.
PATIENCE = 20.0
LEAST_RATE = 32 * 1024
# Bytes of a body that are read at all; what is beyond its limit is dropped.
MOST_READ = 64 * 1024 * 1024
# Bytes of bodies that a process holds, from when they come in until they are answered.
MOST_HELD = 64 * 1024 * 1024
# Requests that a process has and has not answered. One connection of HTTP/2 brings hundreds, those whose clients are
# gone wait for a thread like the others, and of a stream that was reset the server says nothing: it is waited for.
MOST_WAITING = 1000


class Headers(Protocol):
    """What of RSGI's headers is used here: names are in lower case."""

    def get(self, key: str) -> str | None:
        """The first value."""

    def items(self) -> list[tuple[str, str]]:
        """Every header, in order; of several of one name each."""


class Scope(Protocol):
    """What of RSGI's scope is used here."""

    http_version: str
    server: str
    client: str
    scheme: str
    method: str
    path: str
    query_string: str
    authority: str | None
    headers: Headers


class Exchange(Protocol):
    """What of RSGI's protocol is used here."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The pieces of the body."""

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Send the answer; from any thread."""

    def response_empty(self, status: int, headers: list[tuple[str, str]]) -> None:
        """Send an answer without a body."""


class Dropped(Exception):
    """A body had to make room."""


@dataclass(eq=False)
class Incoming:
    """A body on its way: from which network, until when, and what is there of it, in bytes. One that is ``dropped`` had
    to make room."""

    network: str
    until: asyncio.Timeout
    pieces: list[bytes] = field(default_factory=list)
    held: int = 0
    dropped: bool = False


class Doorway:
    """An RSGI application that runs the WSGI application ``app`` in ``threads`` threads; ``peers`` knows who comes
    through the proxy, where there is one, and ``connections`` is told on which of them something is asked."""

    def __init__(
        self,
        app: WSGIApplication,
        threads: int,
        patience: float = PATIENCE,
        peers: Peers | None = None,
        connections: Connections | None = None,
    ) -> None:
        self._app = app
        self._peers = peers
        self._connections = connections
        self._patience = patience
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="web")
        self._held = 0  # bytes; the event loop alone counts them, and requests
        self._waiting = 0
        self._incoming: dict[Incoming, None] = {}  # the oldest first

    async def __call__(self, scope: Scope, exchange: Exchange) -> None:
        if self._waiting >= MOST_WAITING and not self._made_room():
            _turn_away(scope, exchange)
            return
        self._waiting += 1
        client = _end(scope.client)
        if self._connections is not None:
            self._connections.begun(client)
        try:
            await self._serve(scope, exchange)
        finally:
            self._waiting -= 1
            if self._connections is not None:
                self._connections.ended(client)

    async def _serve(self, scope: Scope, exchange: Exchange) -> None:
        # Whose the connection is, while it is open: nobody knows it when the body has come, or a thread is free.
        carried = self._peers.of(*_end(scope.client)) if self._peers is not None else ""
        body, refusal = b"", None
        try:
            body = await self._take_in(scope, exchange, network(carried or _end(scope.client)[0]))
        except GceError as error:
            refusal = error
        except Dropped:
            _turn_away(scope, exchange)
            return
        except (ProtocolClosed, ProtocolError, EOFError):  # the client is gone, and half of a request is none
            exchange.response_empty(400, [])
            return
        environ = environ_of(scope, body)
        if carried:
            environ["REMOTE_ADDR"] = carried
        if refusal is not None:
            environ[transport.REFUSAL] = refusal
        self._held += len(body)
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, self._answer, environ, exchange)
        finally:
            self._held -= len(body)

    def _answer(self, environ: WSGIEnvironment, exchange: Exchange) -> None:
        try:
            chunks, status, headers = run_wsgi_app(self._app, environ, buffered=True)
            exchange.response_bytes(int(status.split(" ", 1)[0]), list(headers), b"".join(chunks))
        except Exception:  # a defect before the application's own handlers: the server would say nothing of it
            shown = "/".join(part and shown_name(part) for part in environ["PATH_INFO"].split("/"))
            log.exception("request.failed", path=shown)
            _refuse(exchange, GceError("internalError", "Internal error. The gateway's log tells of it."))

    async def _take_in(self, scope: Scope, exchange: Exchange, origin: str) -> bytes:
        """The body. GceError 413 for one that is too large, 408 for one that does not come, 400 for one in chunks that
        breaks off; :class:`Dropped`; EOFError for one that ends before its declared length."""
        declared = _declared(scope)
        if declared == 0:
            return b""
        limit = edges.LARGEST if pathforms.canonical_path(scope.path).startswith("/batch") else decoding.LIMIT
        if declared is not None and declared > limit and (declared > MOST_READ or scope.headers.get("expect")):
            raise decoding.too_large(limit)
        size = empty = 0
        started = asyncio.get_running_loop().time() + self._patience
        body = Incoming(origin, asyncio.timeout_at(started))
        self._incoming[body] = None
        try:
            async with body.until:
                async for piece in exchange:
                    size += len(piece)
                    empty += not piece
                    if size <= limit and not body.dropped:
                        self._hold(body, piece)
                    if size > MOST_READ or body.dropped:
                        break
                    body.until.reschedule(started + size / LEAST_RATE)
        except TimeoutError:
            if not body.dropped:
                raise GceError("requestTimeout", "The body of the request did not come in time.") from None
        finally:
            del self._incoming[body]
            self._held -= body.held
        if body.dropped:
            raise Dropped
        if size > limit:
            raise decoding.too_large(limit)
        if declared is not None and size < declared:
            raise EOFError
        # The server ends every body with an empty piece; in HTTP/1 another one is all it says of errors and trailers.
        if declared is None and empty > 1 and scope.http_version.startswith("1"):
            raise GceError(
                "badRequest", "The body of the request breaks off, or has trailers, which are not supported."
            )
        return b"".join(body.pieces)

    def _hold(self, body: Incoming, piece: bytes) -> None:
        """Keep ``piece``. Where there is no room, the largest body of the network that holds most makes it: whoever
        wants to keep others out needs as many networks as what those send fits into MOST_HELD."""
        body.pieces.append(piece)
        body.held += len(piece)
        self._held += len(piece)
        while self._held > MOST_HELD and not body.dropped:
            shares: Counter[str] = Counter()
            for each in self._incoming:
                shares[each.network] += each.held
            most = shares.most_common(1)[0][0]
            self._drop(max((each for each in self._incoming if each.network == most), key=lambda each: each.held))

    def _made_room(self) -> bool:
        """Whether the oldest body of the network that has most on their way made room for another request; not where
        nobody has more than one."""
        waiting = [each for each in self._incoming if not each.dropped]
        most, count = Counter(each.network for each in waiting).most_common(1)[0] if waiting else ("", 0)
        if count > 1:
            self._drop(next(each for each in waiting if each.network == most))
        return count > 1

    def _drop(self, body: Incoming) -> None:
        self._held -= body.held
        body.held, body.dropped = 0, True
        body.pieces.clear()
        if not body.until.expired():
            body.until.reschedule(asyncio.get_running_loop().time())


def _turn_away(scope: Scope, exchange: Exchange) -> None:
    """There is no room, not even for the rest of the body."""
    closing = [("Connection", "close")] if scope.http_version.startswith("1") else []
    _refuse(exchange, GceError("backendError", "Too many requests wait for their answers. Come again."), closing)


def _refuse(exchange: Exchange, error: GceError, headers: Sequence[tuple[str, str]] = ()) -> None:
    """Answer without the application."""
    refusal = pipeline.write_error(error)
    exchange.response_bytes(refusal.status_code, [*refusal.headers, *headers], refusal.get_data())


def _end(peer: str) -> tuple[str, str]:
    """The address and the port of one end of a connection."""
    address, _, port = peer.rpartition(":")
    return plain(address.strip("[]")), port


def _declared(scope: Scope) -> int | None:
    """Bytes that the body has, as its client says; 0 without one, None where the client does not say how many."""
    if scope.headers.get("transfer-encoding") is not None:
        return None
    given = scope.headers.get("content-length")
    if given is not None:
        return int(given)  # the server has refused what is no number
    return 0 if scope.http_version.startswith("1") else None


def environ_of(scope: Scope, body: bytes) -> WSGIEnvironment:
    """The WSGI environment of a request whose body is ``body``.

    The authority of the request line goes before the Host header, as RFC 9112 (3.2.2) wants it; headers whose names
    have underscores are left out, since they would be taken for those with hyphens.
    """
    name, port = _end(scope.server)
    address, remote_port = _end(scope.client)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": scope.path.encode().decode("latin-1"),
        "QUERY_STRING": scope.query_string.encode().decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "SERVER_NAME": name,
        "SERVER_PORT": port,
        "REMOTE_ADDR": address,
        "REMOTE_PORT": remote_port,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for header, value in scope.headers.items():
        if "_" in header:
            continue
        key = f"HTTP_{header.upper().replace('-', '_')}"
        joint = "; " if key == "HTTP_COOKIE" else ","
        environ[key] = f"{environ[key]}{joint}{value}" if key in environ else value
    for key in ("HTTP_CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING"):
        environ.pop(key, None)  # the body is here, and its length known
    if "HTTP_CONTENT_TYPE" in environ:
        environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE")
    environ["CONTENT_LENGTH"] = str(len(body))
    if scope.authority:
        environ["HTTP_HOST"] = scope.authority
    return environ
