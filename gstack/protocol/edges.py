"""What stands around the methods: batches, the discovery document, health, and the errors Flask raises itself.

The surprising thing: the parts of a batch run side by side, each as a request of its own through the whole
application, because three inserts of one gcloud command must not wait for each other.
"""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.test import EnvironBuilder, run_wsgi_app

from gstack.errors import GceError
from gstack.protocol import batch, discovery, pipeline
from gstack.protocol.methods import HANDLERS

log = structlog.get_logger(__name__)

# Parts of one batch under way at the same time; gcloud sends up to 1,000 parts in one.
PARALLEL_PARTS = 8
# Headers of the outer request that hold for every part: gcloud authorises the batch, never its parts.
INHERITED = ("Authorization", "Host", "X-Goog-User-Project")


def register(app: Flask) -> None:
    """Add the routes that are no method of a resource, and GCE-shaped answers for what matches no route."""
    pool = ThreadPoolExecutor(PARALLEL_PARTS, thread_name_prefix="batch")

    def run_batch(version: str = "v1") -> Response:
        try:
            parts = batch.parse(request.headers.get("Content-Type", ""), request.get_data(cache=False))
        except GceError as error:
            return pipeline.write_error(error)
        outer = {name: request.headers[name] for name in INHERITED if name in request.headers}
        base, address = f"{request.scheme}://{request.host}", request.remote_addr
        answers = pool.map(lambda part: _run_part(app, part, outer, base, address), parts)
        content_type, body = batch.compose(list(answers))
        return Response(body, 200, content_type=content_type)

    app.add_url_rule("/batch", "batch", run_batch, methods=["POST"])
    app.add_url_rule("/batch/compute/<version>", "batch_compute", run_batch, methods=["POST"])
    app.add_url_rule("/discovery/v1/apis/compute/<version>/rest", "discovery", _discovery)
    app.add_url_rule("/$discovery/rest", "discovery_short", _discovery)
    app.add_url_rule("/healthz", "healthz", lambda: {"status": "ok"})
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)


def _run_part(
    app: Flask, part: batch.Part, outer: dict[str, str], base: str, address: str | None
) -> tuple[str, int, dict[str, str], bytes]:
    path, _, query = part.path.partition("?")
    own = {name.lower(): value for name, value in part.headers.items() if name.lower() != "host"}
    headers = {name.lower(): value for name, value in outer.items()} | own
    builder = EnvironBuilder(
        path=path,
        method=part.method,
        query_string=query,
        headers=list(headers.items()),
        data=part.body,
        base_url=base,
        environ_overrides={"REMOTE_ADDR": address} if address else None,
    )
    chunks, status, answer = run_wsgi_app(app.wsgi_app, builder.get_environ(), buffered=True)
    content = {"Content-Type": answer.get("Content-Type", "application/json; charset=UTF-8")}
    return part.content_id, int(status.split(" ", 1)[0]), content, b"".join(chunks)


def _discovery(version: str = "v1") -> dict[str, Any]:
    del version  # beta and alpha clients are served the same methods
    return discovery.served_document(request.url_root.rstrip("/"), frozenset(HANDLERS))


def _http_error(error: HTTPException) -> Response:
    code = error.code or 500
    if code == 404:
        answer = GceError("notFound", f"The requested URL {request.path} was not found on this server.")
    elif code == 405:
        answer = GceError("methodNotAllowed", f"{request.method} is not allowed on {request.path}.")
    elif code == 413:
        answer = GceError("uploadTooLarge", "The request is larger than this server accepts.")
    elif 400 <= code < 500:
        answer = GceError("badRequest", str(error.description))
    else:
        return _unexpected(error)
    response = pipeline.write_error(answer)
    allowed = getattr(error, "valid_methods", None)
    if code == 405 and allowed:
        response.headers["Allow"] = ", ".join(sorted(allowed))
    return response


def _unexpected(error: Exception) -> Response:
    request_id = secrets.token_hex(8)
    log.error("request.failed", request=request_id, path=request.path, exc_info=error)
    return pipeline.write_error(pipeline.internal_error(request_id))
