"""HTTP in front of a Simulator: a WSGI application, and a threaded server with keep-alive that serves it.

Apart, because tests may call the application in process. Surprising: a POST body over 1 MiB is a 404 in
HTML, and an overlong request line a 414, both before anybody looks at a signature.
"""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from html import escape
from http.cookies import SimpleCookie
from urllib.parse import parse_qsl
from wsgiref.types import StartResponse, WSGIEnvironment

import orjson
from cheroot import wsgi
from cheroot.server import HTTPConnection, HTTPRequest

from .sessions import COOKIE
from .simulator import Answer, Cut, Simulator

PATH = "/client/api"
MAX_BODY = 1_048_576
MAX_TARGET = 8_190
REASONS = {
    200: "OK",
    301: "Moved Permanently",
    302: "Found",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    414: "URI Too Long",
    429: "Too Many Requests",
    503: "Service Unavailable",
}
NOT_FOUND = (
    '<html>\n<head>\n<meta http-equiv="Content-Type" content="text/html;charset=ISO-8859-1"/>\n'
    "<title>Error 404 Not Found</title>\n</head>\n<body><h2>HTTP ERROR 404 Not Found</h2>\n<table>\n{}</table>\n"
    "\n</body>\n</html>\n"
)
# The real page goes on with where in its Java code each of these arose.
TOO_LARGE = (
    "org.eclipse.jetty.http.BadMessageException: 400: Unable to parse form content",
    f"java.lang.IllegalStateException: Form is larger than max length {MAX_BODY}",
)


class WsgiApp:
    """`control` opens /control, through which a test in another process sets faults and settings."""

    def __init__(self, simulator: Simulator, control: bool = False) -> None:
        self.simulator = simulator
        self.control = control

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            if environ.get("gstack.closing"):
                raise Cut("refuse")
            answer = self.route(environ)
        except Cut as end:
            if "gstack.cut" not in environ:
                raise
            if end.refused:
                environ["gstack.refuse"](end.refused)
            environ["gstack.cut"]()
            answer = Answer(503, "text/plain", b"")
        return send(answer, environ, start_response)

    def route(self, environ: WSGIEnvironment) -> Answer:
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
        query = environ.get("QUERY_STRING", "")
        if len(path) + len(query) + 1 > MAX_TARGET:
            return Answer(
                414,
                "text/html;charset=iso-8859-1",
                b"<h1>Bad Message 414</h1><pre>reason: URI Too Long</pre>",
            )
        if self.control and path.startswith("/control/"):
            return controlled(self.simulator, path, read_body(environ))
        if path.rstrip("/") != PATH:
            return elsewhere(path)
        if method == "OPTIONS":
            return Answer(200, "", b"", {"Allow": "GET, HEAD, POST, OPTIONS"})
        if method not in ("GET", "HEAD", "POST"):
            return Answer(405, "", b"")
        raw: dict[str, str] = {}
        if method == "POST" and environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
            body = read_body(environ)
            if len(body) > MAX_BODY:
                return not_found(path, *TOO_LARGE)
            raw.update(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        raw.update(parse_qsl(query, keep_blank_values=True))
        if raw.get("command") == "login" and method != "POST":
            text = b"Please use HTTP POST to authenticate using this API"
            return Answer(405, "application/json;charset=utf-8", text)
        answer = self.simulator.answer("GET" if method == "HEAD" else method, raw, session_cookie(environ))
        return Answer(answer.status, answer.content_type, b"", answer.headers) if method == "HEAD" else answer


def session_cookie(environ: WSGIEnvironment) -> str | None:
    morsel = SimpleCookie(environ.get("HTTP_COOKIE", "")).get(COOKIE)
    return morsel.value if morsel else None


def read_body(environ: WSGIEnvironment) -> bytes:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    stream = environ["wsgi.input"]
    return stream.read(length) if length else b""


def elsewhere(path: str) -> Answer:
    if path in ("/", "/client"):
        return Answer(301 if path == "/" else 302, "", b"", {"Location": "/client/"})
    return not_found(path)


def not_found(path: str, *causes: str) -> Answer:
    """The servlet container's page."""
    rows = [("URI", path), ("STATUS", "404"), ("MESSAGE", "Not Found"), ("SERVLET", "default")]
    rows += [("CAUSED BY", cause) for cause in causes]
    table = "".join(f"<tr><th>{name}:</th><td>{escape(value)}</td></tr>\n" for name, value in rows)
    return Answer(404, "text/html;charset=iso-8859-1", NOT_FOUND.format(table).encode())


def send(answer: Answer, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    body, headers = answer.body, list(answer.headers.items())
    headers += [("Set-Cookie", cookie) for cookie in answer.cookies]
    if answer.content_type:
        headers.append(("Content-Type", answer.content_type))
    if body and "gzip" in environ.get("HTTP_ACCEPT_ENCODING", ""):
        body = gzip.compress(body, 1)
        headers.append(("Content-Encoding", "gzip"))
    headers.append(("Content-Length", str(len(body))))
    start_response(f"{answer.status} {REASONS.get(answer.status, 'CloudStack')}", headers)
    return [body] if answer.whole else half(body, environ["gstack.cut"])


def half(body: bytes, cut: Callable[[], None]) -> Iterator[bytes]:
    yield body[: len(body) // 2]
    cut()


def controlled(simulator: Simulator, path: str, body: bytes) -> Answer:
    """What :func:`control` answers; 400 and why, where it cannot be done."""
    try:
        return control(simulator, path, body)
    except (TypeError, ValueError, LookupError) as error:
        return Answer(400, "application/json", orjson.dumps({"error": f"{path}: {error}"}))


def control(simulator: Simulator, path: str, body: bytes) -> Answer:
    """POST /control/faults {kind, command, …} · /control/clear · /control/settings {name: value} · /control/keys ·
    /control/measure {group, counter, value} · /control/job-seconds {seconds} ·
    /control/reaches {source, destination, protocol, port, icmp} → {reached, machines, why}.
    """
    wanted = orjson.loads(body) if body else {}
    result: object = {}
    if path == "/control/faults":
        simulator.faults.add(**wanted)
    elif path == "/control/clear":
        simulator.faults.clear()
    elif path == "/control/settings":
        simulator.settings.update(wanted)
    elif path == "/control/job-seconds":
        simulator.job_seconds = float(wanted["seconds"])
    elif path == "/control/measure":
        simulator.measure(**wanted)
    elif path == "/control/reaches":
        verdict = simulator.reaches(**wanted)
        result = {"reached": verdict.reached, "machines": verdict.machines, "why": verdict.why}
    elif path == "/control/keys":
        result = {user.name: [user.api_key, user.secret_key] for user in simulator.world.user}
    else:
        return Answer(404, "application/json", b"{}")
    return Answer(200, "application/json", orjson.dumps(result))


class Quiet(list[tuple[bytes, bytes]]):
    """Headers without the two that cheroot adds and CloudStack does not send."""

    def append(self, header: tuple[bytes, bytes]) -> None:
        if header[0] not in (b"Date", b"Server"):
            super().append(header)


class Request(HTTPRequest):
    def send_headers(self) -> None:
        self.outheaders = Quiet(self.outheaders)
        super().send_headers()


class Connection(HTTPConnection):
    RequestHandlerClass = Request


class Gateway(wsgi.Gateway_10):
    """Gives the application a way to end its connection without an answer."""

    def get_environ(self) -> dict[str, object]:  # type: ignore[override]  # cheroot's has no types
        environ: dict[str, object] = super().get_environ()  # type: ignore[no-untyped-call]  # nor has this
        environ["gstack.cut"] = self.cut
        environ["gstack.refuse"] = self.req.server.refuse
        environ["gstack.closing"] = self.req.server.closing
        return environ

    def cut(self) -> None:
        with contextlib.suppress(OSError):
            self.req.conn.socket.shutdown(socket.SHUT_RDWR)
        self.req.close_connection = True


class Listener(wsgi.Server):
    closing = False  # soon nobody listens any more, so whoever still gets in is not answered
    end: Callable[[float], None]

    def refuse(self, seconds: float) -> None:
        """From another thread: whoever asks for it is one that the end waits for."""
        self.closing = True
        threading.Thread(target=self.end, args=(seconds,)).start()

    def bind(self, family: int, type: int, proto: int = 0) -> socket.socket:
        """Connections inherit this: the port can be bound again while those of before linger."""
        bound: socket.socket = super().bind(family, type, proto)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return bound


class Server:
    """A running server; `port` is the one it got. Use it in a `with`, or call start and stop."""

    def __init__(
        self,
        simulator: Simulator,
        port: int = 0,
        host: str = "127.0.0.1",
        control: bool = False,
        threads: int = 16,
    ) -> None:
        self.simulator = simulator
        self.host, self.threads = host, threads
        self.http = self.listener(port, WsgiApp(simulator, control))
        self.thread: threading.Thread | None = None
        self.timer: threading.Timer | None = None
        self.lock = threading.RLock()  # held while the port opens or closes

    def listener(self, port: int, app: WsgiApp) -> Listener:
        http = Listener((self.host, port), app, numthreads=self.threads, request_queue_size=128, timeout=30)
        http.gateway = Gateway
        http.ConnectionClass = Connection
        http.max_request_header_size = 64 * 1024
        http.keep_alive_conn_limit = 256
        http.end = self.refuse
        return http

    @property
    def port(self) -> int:
        return int(self.http.bind_addr[1])

    @property
    def url(self) -> str:
        return f"http://{self.http.bind_addr[0]}:{self.port}{PATH}"

    def start(self) -> Server:
        self.http.prepare()
        self.thread = threading.Thread(target=self.http.serve, name="simulator", daemon=True)
        self.thread.start()
        return self

    def stop(self) -> None:
        with self.lock:
            if self.timer:
                self.timer.cancel()
                self.timer = None
            self.close()

    def close(self) -> None:
        self.http.stop()
        if self.thread:
            self.thread.join()
            self.thread = None

    def refuse(self, seconds: float | None = None) -> None:
        """Nobody listens on the port, as while a management server restarts: for `seconds`, or until `accept`."""
        with self.lock:
            if self.thread is None:
                return  # nobody listens as it is
            self.close()
            if seconds is not None:
                self.timer = threading.Timer(seconds, self.accept)
                self.timer.start()

    def accept(self) -> None:
        """Listen again, on the same port."""
        with self.lock:
            self.timer = None
            self.http = self.listener(self.port, self.http.wsgi_app)
            self.start()

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def serve(simulator: Simulator, port: int = 0, host: str = "127.0.0.1", control: bool = False) -> Server:
    """Start serving a simulator in the background; stop it with `.stop()`."""
    return Server(simulator, port, host, control).start()
