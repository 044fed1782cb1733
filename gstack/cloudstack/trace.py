"""The upstream calls of the request under way, for logs and metrics.

A context variable holds a plain list, so calls made in helper threads (which run in a copy of the context)
land in the same list as those of the request's own thread. Parameters are never recorded: some are secrets.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from gstack import metrics


@dataclass(frozen=True)
class UpstreamCall:
    """One call to CloudStack: the command, how long it took, and the HTTP status or what happened instead.

    ``status`` is ``"200"``, ``"431"`` ..., or ``"refused"``, ``"timeout"``, ``"cut"``.
    """

    command: str
    ms: float
    status: str


_calls: ContextVar[list[UpstreamCall] | None] = ContextVar("gstack_upstream_calls", default=None)


@contextmanager
def trace() -> Iterator[list[UpstreamCall]]:
    """Collect the upstream calls made within; an enclosing trace gets them too, when this one ends."""
    calls: list[UpstreamCall] = []
    outer = _calls.get()
    token = _calls.set(calls)
    try:
        yield calls
    finally:
        _calls.reset(token)
        if outer is not None:
            outer.extend(calls)


def record(command: str, ms: float, status: str) -> None:
    """Note one call, for the metrics and for the trace under way."""
    metrics.asked(command, status, ms / 1000)
    calls = _calls.get()
    if calls is not None:
        calls.append(UpstreamCall(command, ms, status))
