"""What happens to every request, as a list that reads from top to bottom, and the one writer of answers.

Handlers and steps raise :class:`GceError`; it is caught here and nowhere else. Authentication and operations belong to
other rooms and come in as a :class:`Guard` and a :data:`Memory`. The surprising thing: an answer whose request did not
pass the guard is never sent, whatever a step or handler did; it becomes a server error.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson
import structlog
from flask import Request, Response, has_request_context, request
from sqlalchemy.exc import DatabaseError, InterfaceError, OperationalError
from werkzeug.exceptions import RequestEntityTooLarge

from gstack import metrics
from gstack.errors import GceError, error_body
from gstack.logs import shown_name
from gstack.protocol import bodies, decoding, masks, numbers, parameters, transport
from gstack.protocol.call import Call
from gstack.protocol.discovery import Method, document
from gstack.protocol.errorinfo import error_info
from gstack.protocol.links import Links
from gstack.protocol.methods import HANDLERS, REFUSED

log = structlog.get_logger(__name__)

# Seconds after which to come again, by status, where the error does not know better.
RETRY_AFTER = {429: 1, 503: 5}
HEADERS = {
    "Content-Type": "application/json; charset=UTF-8",
    "Cache-Control": "private",
    "Vary": "Origin, X-Origin, Referer",
    "X-Content-Type-Options": "nosniff",
}
_PLACE = re.compile(r"<(?:\w+:)?(\w+)>")  # where a value stands in a rule of Flask's


class Guard(Protocol):
    """Who may call: implemented by the auth room."""

    def authenticate(self, headers: Any, query: Any) -> Any:
        """The grant behind a request's bearer token, or GceError authError."""

    def enter(self, grant: Any, project: str, *, public: bool) -> Any:
        """The caller inside ``project``, or GceError notFound; ``public`` lets image projects be read."""

    def require(self, caller: Any, commands: tuple[str, ...]) -> None:
        """GceError notImplemented naming the first of ``commands`` that the caller's CloudStack lacks."""


# What became of this very request (``requestId``) before, or None; GceError where the id was used for another one.
Memory = Callable[[Call], dict[str, Any] | None]


@dataclass
class Exchange:
    """One request on its way: what has been found out so far."""

    method: Method
    path: Mapping[str, str]
    request: Request
    guard: Guard
    memory: Memory
    request_id: str
    grant: Any = None
    body: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    call: Call | None = None
    guarded: bool = False
    result: Any = None


def authenticate(exchange: Exchange) -> None:
    """Who is this? Before anything is said about what exists, and before the body is looked at."""
    exchange.grant = exchange.guard.authenticate(exchange.request.headers, exchange.request.args)


def decode(exchange: Exchange) -> None:
    """Bytes to JSON, through everything that real clients send."""
    try:
        data = exchange.request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise decoding.too_large() from None
    exchange.body = decoding.read_body(
        data,
        exchange.request.headers,
        expects_body=exchange.method.request is not None,
    )


def choose(exchange: Exchange) -> None:
    """Is the method served at all?"""
    method = exchange.method.id
    if method in REFUSED:
        raise GceError("notImplemented", f"The method {method} is not supported: {REFUSED[method]}")
    if method not in HANDLERS:
        raise GceError("notImplemented", f"The method {method} is not supported by this gateway yet.")


def check_parameters(exchange: Exchange) -> None:
    """Path and query against the method's description; a bad ``fields`` is refused before anything is done."""
    exchange.params = parameters.check_parameters(exchange.method, exchange.path, exchange.request.args)
    if exchange.params.get("fields"):
        masks.check(exchange.params["fields"], exchange.method.response, document().schemas)


def enter(exchange: Exchange) -> None:
    """The caller inside the project that the URL names, with the CloudStack commands that the method needs."""
    handler = HANDLERS[exchange.method.id]
    project = exchange.params.get("project", "")
    caller = exchange.guard.enter(exchange.grant, project, public=handler.public)
    exchange.guard.require(caller, handler.needs)
    exchange.guarded = True
    if project:
        exchange.params["project"] = caller.project.id  # links carry the id, whatever alias the URL had
    exchange.call = Call(
        method=exchange.method,
        params=exchange.params,
        body={},
        links=Links.for_client(exchange.request.scheme, exchange.request.host, exchange.request.user_agent.string),
        caller=caller,
        headers=exchange.request.headers,
        request_id=exchange.request_id,
        deadline=exchange.request.environ.get(transport.DEADLINE),
    )


def check_body(exchange: Exchange) -> None:
    """The body against its schema, then against what the method does with each field."""
    if exchange.method.request is None or exchange.call is None:
        return
    exchange.call.body = bodies.check_body(exchange.method.request, exchange.body, exchange.method.id)
    exchange.call.cleared = frozenset(name for name, value in exchange.body.items() if value in (None, ""))
    policy = HANDLERS[exchange.method.id].body
    if policy is not None:
        policy.check(exchange.call.body)


def remember(exchange: Exchange) -> None:
    """A request that was repeated is answered with its operation, before anybody finds that what it makes exists."""
    if exchange.call is not None and exchange.call.params.get("requestId"):
        exchange.result = exchange.memory(exchange.call)


def handle(exchange: Exchange) -> None:
    """The resource room does its work."""
    assert exchange.call is not None  # a step before made it
    if exchange.result is not None:
        return
    try:
        exchange.result = _handled(exchange.call)
    except GceError:
        remember(exchange)  # its twin may have come in between, and have made what this one finds in its way
        if exchange.result is None:
            raise


def _handled(call: Call) -> Any:
    """What the handler answers; it is asked again, by name, where the URL has a number."""
    handler = HANDLERS[call.method.id]
    try:
        return handler(call)
    except GceError as error:
        named = numbers.by_name(call) if error.kind == "notFound" else None
        if named is None:
            raise
        return handler(named)


STEPS: tuple[Callable[[Exchange], None], ...] = (
    authenticate,
    decode,
    choose,
    check_parameters,
    enter,
    check_body,
    remember,
    handle,
)


def answer(method: Method, path: Mapping[str, str], guard: Guard, memory: Memory) -> Response:
    """Run one request through the steps and write what comes out of them."""
    exchange = Exchange(method, path, request, guard, memory, request_id=transport.request_id())
    started = time.perf_counter()
    structlog.contextvars.bind_contextvars(request=exchange.request_id)
    try:
        for step in STEPS:
            step(exchange)
        if not exchange.guarded:
            raise RuntimeError(f"{method.id} was answered without passing the guard")
        response = write(exchange.result, request.args)
    except GceError as error:
        response = write_error(error, method)
    except Exception as error:
        response = write_error(unexpected(error, method=method.id))
    seconds = time.perf_counter() - started
    metrics.answered(method.id if method.id in HANDLERS else "", response.status_code, seconds)
    shown = shown_path(method, path)
    log.info("request", method=method.id, path=shown, status=response.status_code, ms=round(seconds * 1000, 1))
    structlog.contextvars.unbind_contextvars("request")
    return response


def shown_path(method: Method, path: Mapping[str, str]) -> str:
    """The path of a request as the log shows it: people have put their keys where a project's name belongs."""
    return "/compute/v1/" + _PLACE.sub(lambda place: shown_name(path[place[1]]), method.path)


def unexpected(error: Exception, **where: str) -> GceError:
    """What a client sees of an error that nobody expected, which is logged: come again where the store is away or was
    replaced under us, and of a defect of ours nothing but where to look for it."""
    if isinstance(error, OperationalError | InterfaceError) or type(error) is DatabaseError:  # a file that is damaged
        log.error("store.unavailable", exc_info=error, **where)
        return GceError("backendError", "The gateway's store is not available at the moment.")
    log.error("request.failed", exc_info=error, **where)
    return GceError(
        "internalError", f"Internal error. The gateway's log names it under request {transport.request_id()}."
    )


def write(result: Any, query: Mapping[str, str]) -> Response:
    """The one writer: ``fields`` mask, ``prettyPrint``, JSON, headers."""
    result = masks.apply(parameters.standard(query, "fields"), result)
    return _json(result, 200, query)


def write_error(error: GceError, method: Method | None = None) -> Response:
    """An error in GCE's shape, with the headers and the detail that belong to its kind; ``method`` was called."""
    body, info = error_body(error), error_info(error, method)
    if info is not None:
        body["error"].setdefault("details", []).append(info)
    response = _json(body, error.http, request.args if has_request_context() else {})
    wait = error.retry_after if error.retry_after is not None else RETRY_AFTER.get(error.http)
    if wait is not None:
        response.headers["Retry-After"] = str(wait)
    if error.kind == "authError":
        response.headers["WWW-Authenticate"] = 'Bearer realm="https://accounts.google.com/", error="invalid_token"'
    return response


def _json(value: Any, status: int, query: Mapping[str, str]) -> Response:
    pretty = parameters.standard(query, "prettyPrint").lower() not in ("false", "0")
    data = orjson.dumps(value, option=orjson.OPT_INDENT_2 if pretty else 0)
    return Response(data, status, HEADERS)
