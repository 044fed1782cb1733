"""gcutil of old, as the flags of the first gstack started it: a small client that does what those flags say.

Apart because the program itself is long gone. It fetched the discovery document (``--fetch_discovery``) from
``--api_host``, sent the browser to ``--authorization_uri_base`` + ``/auth`` with ``--client_id`` (the API key), waited
on a local port for the code, and exchanged it and every refresh token with ``--client_secret`` (the secret key). The
surprising thing: no page is shown on the way, since whoever has the secret key needs no further sign of consent.
"""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests

HOST = "gateway.test"
SCOPES = "https://www.googleapis.com/auth/compute https://www.googleapis.com/auth/devstorage.full_control"


@contextlib.contextmanager
def local_web_server() -> Iterator[tuple[str, list[str]]]:
    """An address for the redirect, and the codes that arrive there."""
    codes: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            codes.extend(parse_qs(urlsplit(self.path).query).get("code", []))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.HTTPServer(("localhost", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://localhost:{server.server_address[1]}/", codes
        server.shutdown()
        thread.join()


@dataclass
class Gcutil:
    """``gcutil --api_host=... --authorization_uri_base=.../oauth2 --client_id=... --client_secret=...``"""

    client: Any
    client_id: str
    client_secret: str
    tokens: dict[str, Any] = field(default_factory=dict)

    def discover(self) -> dict[str, Any]:
        return dict(self._open("GET", "/discovery/v1/apis/compute/v1/rest").json)

    def login(self) -> int:
        """The browser's way, then the exchange; the status of the latter."""
        with local_web_server() as (address, codes), requests.Session() as browser:
            browser.trust_env = False
            query = {"client_id": self.client_id, "redirect_uri": address, "scope": SCOPES, "response_type": "code"}
            sent = self._open("GET", f"/oauth2/auth?{urlencode(query | {'access_type': 'offline'})}")
            assert sent.status_code == 303, sent.text
            browser.get(sent.headers["Location"], timeout=10)
            return self._token(grant_type="authorization_code", code=codes[0], redirect_uri=address, scope=SCOPES)

    def refresh(self) -> int:
        return self._token(grant_type="refresh_token", refresh_token=self.tokens["refresh_token"])

    def call(self, method: dict[str, Any], document: dict[str, Any], verb: str = "GET", **path: str) -> Any:
        """A method as the discovery document describes it."""
        url = document["baseUrl"] + method["path"].format(**path)
        return self._open(verb, url, headers={"Authorization": f"OAuth {self.tokens['access_token']}"})

    def _token(self, **form: str) -> int:
        own = {"client_id": self.client_id, "client_secret": self.client_secret}
        answer = self._open("POST", "/oauth2/token", data=form | own)
        if answer.status_code == 200:
            self.tokens |= answer.json
        return int(answer.status_code)

    def _open(self, verb: str, url: str, **more: Any) -> Any:
        return self.client.open(url, method=verb, base_url=f"https://{HOST}", **more)


@pytest.fixture
def gcutil(gateway: Any) -> Gcutil:
    return Gcutil(gateway.client, *gateway.simulator.keys("tenant"))


def test_gcutil_discovers_logs_in_works_and_refreshes(gcutil: Gcutil) -> None:
    document = gcutil.discover()
    zones = document["resources"]["zones"]["methods"]["list"]
    assert urlsplit(document["baseUrl"]).netloc == HOST, "it goes on where it began"
    assert gcutil.login() == 200
    first = gcutil.call(zones, document, project="tenant")
    assert first.status_code == 200 and first.json["items"]
    old = gcutil.tokens["access_token"]
    assert gcutil.refresh() == 200 and gcutil.tokens["access_token"] != old
    assert gcutil.call(zones, document, project="tenant").status_code == 200
    assert gcutil.call(zones, document, project="other").status_code == 404


@pytest.mark.parametrize("secret", ["wrong", ""])
def test_gcutil_with_a_wrong_secret_gets_nothing(gcutil: Gcutil, secret: str) -> None:
    gcutil.client_secret = secret
    assert gcutil.login() == 401 and gcutil.tokens == {}


def test_gcutils_refresh_token_is_worth_nothing_without_the_secret_key(gcutil: Gcutil) -> None:
    assert gcutil.login() == 200
    gcutil.client_secret = "wrong"
    assert gcutil.refresh() == 401
