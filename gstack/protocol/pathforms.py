"""The forms in which clients write our URLs, brought to the one that the routes know.

In front of Flask, because one set of 1,025 rules is quicker to build and to match than four. The forms are listed,
with the clients that use them, in docs/clients: ``/compute/beta/``, ``/compute/alpha/``, bare ``/projects/``,
doubled slashes, and ``X-HTTP-Method-Override: GET`` with the query as a form body. The host of a request is read here
as well (:class:`HostRequest`), as the links of its answer begin with it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote

from flask import Request
from werkzeug.routing import Rule

from gstack.protocol import decoding, transport

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

# Verbs that clients send where Google's document names another one, by method id; GCE takes both.
# Ansible's google.cloud posts this one, as its recorded requests show.
VERB_ALIASES: Mapping[str, tuple[str, ...]] = {"compute.instances.updateShieldedInstanceConfig": ("POST",)}


class MatchedRule(Rule):
    """A rule that is only ever matched. What builds URLs from rules would cost half of the start: nothing here does,
    since links are made in protocol/links.py."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        del append_unknown
        return _no_url


HOST = re.compile(
    r"(?P<name>\[[0-9A-Fa-f:]*:[0-9A-Fa-f:.]+\]|[A-Za-z0-9_](?:[-A-Za-z0-9_]|\.(?!\.))*(?<![-.]))\.?(?::(?P<port>[0-9]{0,5}))?"
)
STANDARD_PORTS = {"http": "80", "https": "443"}


class HostRequest(Request):
    """A request whose ``host`` may have underscores, as services of Docker Compose do, which Werkzeug refuses."""

    @property
    def host(self) -> str:
        """The ``Host`` header without the dot that ends a name and without a standard port; "" for what is no host."""
        return canonical_host(self.environ.get("HTTP_HOST", ""), self.scheme)

    @host.setter
    def host(self, found: str) -> None:
        """Flask sets what Werkzeug thinks; it is not taken over."""


def canonical_host(given: str, scheme: str) -> str:
    """A ``Host`` header as links have it; "" for what is no host."""
    found = HOST.fullmatch(given)
    port = (found["port"] or "") if found else ""
    if found is None or (port and not 0 < int(port) < 2**16):
        return ""
    return found["name"] if port in ("", STANDARD_PORTS.get(scheme)) else f"{found['name']}:{port}"


def _no_url(_rule: Rule, **_values: Any) -> tuple[str, str]:
    raise LookupError("routes are matched here; URLs are built in gstack.protocol.links")


_SLASHES = re.compile(r"/{2,}")
_VERSION = re.compile(r"^/compute/(?:beta|alpha)/")
# What may stand in a query as it is; the bytes of other characters are escaped: what reads queries fails on them.
_ASCII = "".join(map(chr, range(128)))
# google-api-python-client moves to the override when the URL exceeds 2,048 characters; no real query is longer.
_LONGEST_OVERRIDE = 256 * 1024


class PathForms:
    """WSGI middleware: see the module. ``over_tls``: every request came by https, though the server did not see it, and
    is answered with links and cookies that say so."""

    def __init__(self, app: WsgiApp, *, over_tls: bool = False) -> None:
        self._app = app
        self._over_tls = over_tls

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ["PATH_INFO"] = canonical_path(environ.get("PATH_INFO", "/"))
        if "HTTP_X_HTTP_METHOD_OVERRIDE" in environ:
            _override(environ)
        if self._over_tls:
            environ["wsgi.url_scheme"] = "https"
        environ["QUERY_STRING"] = quote(environ.get("QUERY_STRING", ""), safe=_ASCII, encoding="latin-1")
        return self._app(environ, start_response)


def canonical_path(path: str) -> str:
    """The path our routes know for any path that a client may send."""
    path = _SLASHES.sub("/", path)
    if path.startswith("/projects/"):
        return "/compute/v1" + path
    return _VERSION.sub("/compute/v1/", path)


def _override(environ: dict[str, Any]) -> None:
    method = environ["HTTP_X_HTTP_METHOD_OVERRIDE"].upper()
    if environ["REQUEST_METHOD"] != "POST" or method not in ("GET", "PUT", "PATCH", "DELETE"):
        return
    environ["REQUEST_METHOD"] = method
    form = environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded")
    if method == "GET" and form:
        query = environ["wsgi.input"].read(_LONGEST_OVERRIDE + 1).decode("latin-1")  # the doorway has all of it
        if len(query) > _LONGEST_OVERRIDE:  # a part of a filter is another filter
            environ[transport.REFUSAL] = decoding.too_large(_LONGEST_OVERRIDE)
        environ["QUERY_STRING"] = "&".join(part for part in (environ.get("QUERY_STRING", ""), query) if part)
        environ["wsgi.input"] = io.BytesIO()
        environ["CONTENT_LENGTH"] = "0"
        environ["CONTENT_TYPE"] = ""
