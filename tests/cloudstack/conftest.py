"""A CloudStack of a few lines that answers as told, and misbehaves as told."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from gstack.cloudstack.client import Cloud, Endpoint
from gstack.settings import Settings

API_KEY, SECRET_KEY = "the-api-key", "the-secret-key"


class Fake:
    """``answers[command]``: an object, ``(status, object or bytes)``, "cut", "hang", or a function to one."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.seen: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.release = threading.Event()
        self.port = 0
        self.server: ThreadingHTTPServer | None = None

    def params(self, number: int = -1) -> dict[str, str]:
        """The parameters of a request, without what signing added."""
        added = {"apiKey", "signature", "signatureVersion", "expires", "response", "command"}
        return {name: value for name, value in self.seen[number][1].items() if name not in added}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: Fake

    def _answer(self) -> None:
        fake = self.fake
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        params = dict(parse_qsl(urlsplit(self.path).query + "&" + body, keep_blank_values=True))
        fake.seen.append((self.command, params, dict(self.headers)))
        found = fake.answers.get(params["command"], {})
        answer = found(params) if callable(found) else found
        if answer == "cut":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        if answer == "hang":
            fake.release.wait(30)
            self.close_connection = True
            return
        status, raw = answer if isinstance(answer, tuple) else (200, answer)
        if not isinstance(raw, bytes):
            raw = json.dumps({params["command"].lower() + "response": raw}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.send_header("Set-Cookie", "JSESSIONID=somebody; Path=/")
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = _answer

    def log_message(self, *_: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """A client that hangs up, or does not trust the certificate, is no failure of the test."""


@pytest.fixture
def fake() -> Iterator[Fake]:
    fake = Fake()
    handler = type("Handler", (_Handler,), {"fake": fake})
    server = _Server(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    fake.server, fake.port = server, server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield fake
    fake.release.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def endpoint(fake: Fake) -> Iterator[Endpoint]:
    endpoint = Endpoint(settings_for(fake.port))
    yield endpoint
    endpoint.close()


@pytest.fixture
def cloud(endpoint: Endpoint) -> Cloud:
    return endpoint.cloud(API_KEY, SECRET_KEY, key="tenant")


@pytest.fixture
def make_endpoint(fake: Fake) -> Iterator[Callable[..., Endpoint]]:
    made: list[Endpoint] = []

    def make(**values: Any) -> Endpoint:
        made.append(Endpoint(settings_for(fake.port, **values)))
        return made[-1]

    yield make
    for endpoint in made:
        endpoint.close()


def settings_for(port: int, **values: Any) -> Settings:
    return Settings({"CLOUDSTACK_HOST": "127.0.0.1", "CLOUDSTACK_PORT": port, **values})
