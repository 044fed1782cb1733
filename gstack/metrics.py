"""Numbers for Prometheus, at ``/metrics``, for whoever has their token: requests, calls to CloudStack, logins,
operations.

Apart and this low because every room counts. Labels come from tables of ours, never from what a client sends, so nobody
can fill them up or write into them. From where a request comes says nothing here: behind a reverse proxy everybody
looks like this machine. The surprising thing: the processes of one gateway count together, in files under PATH that
begin anew with the gateway; without :func:`share` (tests, one process) each counts for itself.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import NotFound

from gstack.settings import Settings

FOLDER = "metrics"
TOKEN_FILE = "metrics.token"  # noqa: S105 - its name
SHARED = "PROMETHEUS_MULTIPROC_DIR"  # prometheus-client's own name; read when it is imported, hence imports below
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
# Words of the audit log for what logs somebody in.
LOGINS = frozenset(
    {
        *("authorization_code", "client_credentials", "jwt-bearer", "refresh_token", "token-exchange", "id_token"),
        *("bearer", "code", "consent", "page", "introspect", "revoke"),
    }
)
OTHER = "other"


class _Meters:
    """What is counted."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Histogram

        self.registry = own = CollectorRegistry()
        self.requests = Counter(
            "gstack_requests", "Answered requests of the Compute Engine API.", ["method", "status"], registry=own
        )
        self.seconds = Histogram(
            "gstack_request_seconds", "How long they took.", ["method"], buckets=SECONDS, registry=own
        )
        self.upstream = Counter(
            "gstack_upstream_calls", "Calls to CloudStack, by HTTP status.", ["command", "status"], registry=own
        )
        self.upstream_seconds = Counter("gstack_upstream_seconds", "Time that they took.", ["command"], registry=own)
        self.logins = Counter(
            "gstack_logins", "Tokens handed out, and whatever was refused.", ["grant", "outcome"], registry=own
        )


class _Operations:
    """The operations in the store, by state, read when somebody asks."""

    def __init__(self, by_state: Callable[[], Mapping[str, int]]) -> None:
        self._by_state = by_state

    def collect(self) -> Iterator[Any]:
        """prometheus-client's way of asking."""
        from prometheus_client.core import GaugeMetricFamily

        found = GaugeMetricFamily("gstack_operations", "Operations in the store, by state.", labels=["state"])
        for state, number in self._by_state().items():
            found.add_metric([state], number)
        yield found


def share(folder: Path) -> None:
    """Let this process and those it starts count together, from zero."""
    path = folder / FOLDER
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ[SHARED] = str(path)


def register(app: Flask, operations: Callable[[], Mapping[str, int]], settings: Settings) -> None:
    """Add ``/metrics`` to ``app``; ``operations`` counts the operations by state. Its token is made where there is
    none: a file for its owner only, which is read with every request and may be replaced at any time."""
    _meters()
    file = settings.folder / TOKEN_FILE
    with contextlib.suppress(FileExistsError), open(file, "x", opener=_for_its_owner) as made:
        made.write(secrets.token_urlsafe(32) + "\n")
    app.add_url_rule("/metrics", "metrics", lambda: _answer(operations, file))


def _for_its_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def answered(method: str, status: int, seconds: float) -> None:
    """A request of the API was answered; ``method`` is the id of one that is served, or empty."""
    meters = _meters()
    meters.requests.labels(method or OTHER, str(status)).inc()
    meters.seconds.labels(method or OTHER).observe(seconds)


def asked(command: str, status: str, seconds: float) -> None:
    """CloudStack was asked."""
    meters = _meters()
    meters.upstream.labels(command, status).inc()
    meters.upstream_seconds.labels(command).inc(seconds)


def login(what: str, outcome: str) -> None:
    """Somebody was let in or refused; ``what`` may hold anything, as clients choose it."""
    short = what.rpartition(":")[2]
    _meters().logins.labels(short if short in LOGINS else OTHER, outcome).inc()


@cache
def _meters() -> _Meters:
    return _Meters()


def _answer(operations: Callable[[], Mapping[str, int]], file: Path) -> Response:
    if not _is_asked_with(file):
        raise NotFound
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
    from prometheus_client.multiprocess import MultiProcessCollector

    counted = _meters().registry
    if SHARED in os.environ:
        counted = CollectorRegistry()
        MultiProcessCollector(counted)  # type: ignore[no-untyped-call]  # it has no types
    stored = CollectorRegistry()
    stored.register(_Operations(operations))
    return Response(generate_latest(counted) + generate_latest(stored), content_type=CONTENT_TYPE_LATEST)


def _is_asked_with(file: Path) -> bool:
    """Whether the request holds the token of ``file``; without a token nobody is answered."""
    try:
        token = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return False
    given = request.headers.get("Authorization", "")
    return bool(token) and hmac.compare_digest(given.encode(), f"Bearer {token}".encode())
