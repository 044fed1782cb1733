"""What stands around the methods: batches, the discovery document, health, and the errors Flask raises itself.

The surprising thing: the parts of a batch run side by side, each as a request of its own through the whole
application, because three inserts of one gcloud command must not wait for each other. The thread of the batch itself
runs parts too, so a batch goes on however busy the helpers are; and all its parts share one deadline for waiting.
"""

from __future__ import annotations

import contextlib
import contextvars
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson
from flask import Flask, Response, request
from werkzeug.exceptions import BadRequest, HTTPException, NotFound
from werkzeug.test import EnvironBuilder, run_wsgi_app

from gstack.errors import GceError
from gstack.protocol import batch, decoding, discovery, pipeline, transport
from gstack.protocol.links import NO_HOST
from gstack.protocol.methods import HANDLERS
from gstack.protocol.pathforms import canonical_path

Part = TypeVar("Part")
Answer = TypeVar("Answer")

# Parts of one batch under way at the same time; gcloud sends up to 1,000 parts in one.
PARALLEL_PARTS = 8
# Bytes of a batch: 1,000 parts of 10 kB. A single body ends at decoding.LIMIT.
LARGEST = 10 * 1024 * 1024
# Bytes of the answers of one batch, which are in memory until the last part is answered.
MOST_ANSWERED = 64 * 1024 * 1024
# Threads of a process that help with batches.
HELPERS = 16
# Clients of all three are served the same methods.
VERSIONS = ("v1", "beta", "alpha")
# Headers of the outer request that hold for every part: gcloud authorises the batch, never its parts; and what says
# with what the batch came.
INHERITED = ("Authorization", "Host", "User-Agent", "X-Goog-User-Project")


def register(app: Flask, hold_seconds: float) -> None:
    """Add the routes that are no method of a resource, and GCE-shaped answers for what matches no route.

    ``hold_seconds`` is how long the parts of a batch may wait for their operations, all together.
    """
    app.before_request(_refused)
    helpers = ThreadPoolExecutor(HELPERS, thread_name_prefix="batch")

    def run_batch(version: str = "v1") -> Response:
        if version not in VERSIONS:
            raise NotFound
        try:
            encoding = request.headers.get("Content-Encoding", "")
            data = decoding.unpacked(request.get_data(cache=False), encoding, LARGEST)
            parts = batch.parse(request.headers.get("Content-Type", ""), data)
        except GceError as error:
            return pipeline.write_error(error)
        outer = Outer(
            {name: request.headers[name] for name in INHERITED if name in request.headers},
            f"{request.scheme}://{request.host}",
            request.remote_addr,
            time.monotonic() + hold_seconds,
        )
        content_type, body = batch.compose(run_parts(helpers, parts, lambda part: _run_part(app, part, outer)))
        return Response(body, 200, content_type=content_type)

    app.add_url_rule("/batch", "batch", run_batch, methods=["POST"])
    app.add_url_rule("/batch/compute/<version>", "batch_compute", run_batch, methods=["POST"])
    app.add_url_rule("/discovery/v1/apis", "directory", _directory)
    app.add_url_rule("/discovery/v1/apis/compute/<version>/rest", "discovery", _discovery)
    app.add_url_rule("/$discovery/rest", "discovery_short", _discovery)
    app.add_url_rule("/healthz", "healthz", lambda: {"status": "ok"})
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)


def run_parts(helpers: ThreadPoolExecutor, parts: list[Part], run: Callable[[Part], Answer]) -> list[Answer]:
    """``run`` of every part, in the order of the parts: in this thread, and in helpers that are free meanwhile."""
    waiting = deque(enumerate(parts))
    answers: dict[int, Answer] = {}

    def work() -> None:
        while waiting:
            with contextlib.suppress(IndexError):  # another thread took the last one
                number, part = waiting.popleft()
                # A context of its own: a request inside a request would share its database session.
                answers[number] = contextvars.Context().run(run, part)

    helping = [helpers.submit(work) for _ in range(min(PARALLEL_PARTS, len(parts)) - 1)]
    work()
    for helper in helping:
        if not helper.cancel():  # one that has begun has a part to finish
            helper.result()
    return [answers[number] for number in range(len(parts))]


@dataclass(frozen=True)
class Outer:
    """What the request of a batch hands to its parts. ``deadline`` is a time of the monotonic clock; ``answered`` has
    the bytes of each answer so far."""

    headers: dict[str, str]
    base: str
    address: str | None
    deadline: float
    answered: list[int] = field(default_factory=list)


def _run_part(app: Flask, part: batch.Part, outer: Outer) -> tuple[str, int, dict[str, str], bytes]:
    path, _, query = part.path.partition("?")
    problem = _problem(part, path, outer)
    if problem is not None:
        refusal = pipeline.write_error(problem)
        return part.content_id, refusal.status_code, {"Content-Type": refusal.content_type}, refusal.get_data()
    own = {name.lower(): value for name, value in part.headers.items() if name.lower() != "host"}
    headers = {name.lower(): value for name, value in outer.headers.items()} | own
    builder = EnvironBuilder(
        path=path,
        method=part.method,
        query_string=query,
        headers=list(headers.items()),
        data=part.body,
        base_url=outer.base,
        environ_overrides={"REMOTE_ADDR": outer.address or "", transport.DEADLINE: outer.deadline},
    )
    chunks, status, answer = run_wsgi_app(app.wsgi_app, builder.get_environ(), buffered=True)
    content = {"Content-Type": answer.get("Content-Type", "application/json; charset=UTF-8")}
    body = b"".join(chunks)
    outer.answered.append(len(body))
    return part.content_id, int(status.split(" ", 1)[0]), content, body


def _problem(part: batch.Part, path: str, outer: Outer) -> GceError | None:
    """Why a part is not carried out. Documents and pages are no part of a batch: a thousand of them, which nobody has
    to log in for, would fill the memory."""
    if part.problem:
        return GceError("badRequest", part.problem)
    if not canonical_path(path).startswith("/compute/"):
        return GceError("notFound", f"The requested URL {path} was not found on this server.")
    if sum(outer.answered) > MOST_ANSWERED:
        return GceError("backendError", "The answers of this batch are too large. Send its other parts once more.")
    return None


def _refused() -> Response | None:
    """The answer to a request that never came in as a whole: there may be more of it on the connection."""
    refusal = request.environ.get(transport.REFUSAL)
    if refusal is None:
        return None
    response = pipeline.write_error(refusal)
    if request.environ["SERVER_PROTOCOL"].startswith("HTTP/1"):
        response.headers["Connection"] = "close"
    return response


def _root() -> str:
    """The address that the client asked, as its documents name it."""
    if not request.host:
        raise BadRequest(NO_HOST)
    return request.url_root.rstrip("/")


def _kept(value: dict[str, Any]) -> Response:
    """An answer that a client may keep, and ask whether it is still the same: documents are long."""
    response = Response(orjson.dumps(value), content_type="application/json; charset=UTF-8")
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag(weak=True)  # it may be compressed yet
    response.make_conditional(request)
    return response


def _discovery(version: str = "v1") -> Response:
    if version not in VERSIONS:
        raise NotFound
    return _kept(discovery.served_document(_root(), frozenset(HANDLERS), version))


def _directory() -> Response:
    name, preferred = request.args.get("name", "compute"), request.args.get("preferred", "").lower() == "true"
    versions = [version for version in VERSIONS if version == "v1" or not preferred] if name == "compute" else []
    return _kept(discovery.directory(_root(), versions))


def _http_error(error: HTTPException) -> Response:
    code = error.code or 500
    allowed = getattr(error, "valid_methods", None) or ()
    if code == 405 and request.method == "OPTIONS":
        return transport.options(allowed)
    if code == 404:
        answer = GceError("notFound", f"The requested URL {request.path} was not found on this server.")
    elif code == 405:
        answer = GceError("methodNotAllowed", f"{request.method} is not allowed on {request.path}.")
    elif code == 413:
        answer = GceError("uploadTooLarge", "The request is larger than this server accepts.")
    elif 400 <= code < 500:
        answer = GceError("badRequest", str(error.description) if request.host else NO_HOST)
    else:
        return _unexpected(error)
    response = pipeline.write_error(answer)
    if code == 405 and allowed:
        response.headers["Allow"] = ", ".join(sorted(allowed))
    return response


def _unexpected(error: Exception) -> Response:
    return pipeline.write_error(pipeline.unexpected(error, request=transport.request_id(), path=str(request.url_rule)))
