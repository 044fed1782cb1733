"""What HTTP itself asks of every answer, whichever room made it: its request id, CORS, compression, OPTIONS.

Apart from the pipeline because pages, token endpoints and errors of routing go through here as well. The surprising
thing: a part of a batch is never compressed by itself; the answer that carries it is.
"""

from __future__ import annotations

import gzip
import re
import secrets
from collections.abc import Collection, Iterable
from functools import lru_cache

from flask import Flask, Response, request
from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header

# In the WSGI environment: until when (monotonic clock) a batch's part may wait; and the id of the request.
DEADLINE = "gstack.deadline"
REQUEST_ID = "gstack.request_id"
# There too: the GceError by which a request is answered that was not taken in as a whole.
REFUSAL = "gstack.refusal"

# What of a client's own id is repeated to it and written into the log: nothing that could break a line or a header.
HARMLESS = re.compile(r"[A-Za-z0-9][-A-Za-z0-9._:/+=@]{0,127}")
HEADER_NAMES = re.compile(r"[-A-Za-z0-9_]+(\s*,\s*[-A-Za-z0-9_]+)*")
# Bytes below which compression costs more than it saves.
LEAST = 1024
COMPRESSED = ("application/json", "multipart/mixed")
# What pages of other origins may call: the API, never the pages on which people log in.
API = ("/compute/", "/batch", "/discovery/", "/$discovery/")
READABLE = "X-Request-Id, Retry-After, WWW-Authenticate"
PREFLIGHT_SECONDS = 3600


def register(app: Flask, origins: str) -> None:
    """Finish every answer of ``app``. ``origins``: the setting GSTACK_CORS_ORIGINS."""
    allowed = frozenset(origin.strip().rstrip("/").lower() for origin in origins.split(",") if origin.strip())

    def finish(response: Response) -> Response:
        response.headers.setdefault("X-Request-Id", request_id())
        if allowed and request.path.startswith(API):
            _share(response, allowed)
        return _compressed(response)

    app.after_request(finish)


def request_id() -> str:
    """The id of the request under way: the client's ``X-Request-Id`` where it is harmless, or one of ours."""
    found = request.environ.get(REQUEST_ID)
    if found is None:
        given = request.headers.get("X-Request-Id", "")
        found = given if HARMLESS.fullmatch(given) else secrets.token_hex(8)
        request.environ[REQUEST_ID] = found
    return str(found)


def options(methods: Iterable[str]) -> Response:
    """The answer to OPTIONS: what may be done with this path; needs no credentials and says nothing of what exists."""
    response = Response(status=204)
    response.headers["Allow"] = ", ".join(sorted({*methods, "OPTIONS"}))
    return response


def _share(response: Response, allowed: Collection[str]) -> None:
    """CORS. Credentials of browsers are never allowed: whoever calls brings a bearer token."""
    origin = request.headers.get("Origin", "")
    response.vary.add("Origin")
    if "*" not in allowed and origin.lower() not in allowed:
        return
    response.headers["Access-Control-Allow-Origin"] = "*" if "*" in allowed else origin
    response.headers["Access-Control-Expose-Headers"] = READABLE
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        response.headers["Access-Control-Allow-Methods"] = response.headers.get("Allow", "GET, HEAD, OPTIONS")
        response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)
        wanted = request.headers.get("Access-Control-Request-Headers", "")
        if len(wanted) <= LEAST and HEADER_NAMES.fullmatch(wanted):
            response.headers["Access-Control-Allow-Headers"] = wanted


@lru_cache(maxsize=64)
def _takes_gzip(accepted: str) -> bool:
    """Whether gzip is among what an ``Accept-Encoding`` accepts; a client says the same with every request."""
    return parse_accept_header(accepted, Accept).quality("gzip") > 0


def _compressed(response: Response) -> Response:
    """The answer in gzip, where it is worth it and the client takes it."""
    if response.mimetype not in COMPRESSED or DEADLINE in request.environ:
        return response
    vary = response.headers.get("Vary")
    response.headers["Vary"] = f"{vary}, Accept-Encoding" if vary else "Accept-Encoding"
    small = response.is_streamed or response.content_length is None or response.content_length < LEAST
    if small or "Content-Encoding" in response.headers or not _takes_gzip(request.headers.get("Accept-Encoding", "")):
        return response
    response.set_data(gzip.compress(response.get_data(), 1, mtime=0))
    response.headers["Content-Encoding"] = "gzip"
    return response
