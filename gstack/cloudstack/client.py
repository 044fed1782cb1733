"""The signed, pooled client: one :class:`Endpoint` a process, one :class:`Cloud` for each credential and
project.

Everything gstack asks of CloudStack goes through :meth:`Cloud.call`. The surprising things: cookies are
never kept, because CloudStack ties its session cookie to a user and the connections are shared by all of them;
every command that changes something is POSTed, which CloudStack may be set to demand and which keeps
user data out of access logs; and urllib3 is used without requests, which costs as much CPU again for each call.
"""

from __future__ import annotations

import contextvars
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, cast
from urllib.parse import urlsplit

import certifi
import orjson
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, Timeout, connection_from_url, make_headers
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationParseError,
    NameResolutionError,
    NewConnectionError,
    TimeoutError,
)

from gstack import __version__
from gstack.cloudstack import signing
from gstack.cloudstack.commands import Command, command
from gstack.cloudstack.errors import CloudStackError, Unavailable, cloudstack_error
from gstack.cloudstack.trace import record
from gstack.settings import Settings, SettingsError

Row = dict[str, Any]
Rows = list[Row]  # spelled out, because inside Cloud "list" is a method
Results = list[Any]

PAGE_SIZE = 500  # default.page.size: more is refused, and an unpaged list is cut here in silence
LONGEST_GET = 2_000  # characters of the query; CloudStack's limit for the whole request line is about 8,190
LONGEST_POST = 1_048_576  # bytes; above it CloudStack answers 404 with a page of HTML
SIDE_BY_SIDE = 16  # helper threads of one process
AS_IT_COMES: dict[str, Any] = {"redirect": False, "retries": False}
_UNSENT = (NewConnectionError, NameResolutionError, ConnectTimeoutError, ssl.SSLCertVerificationError)


class Endpoint:
    """The CloudStack API that the settings name: connections kept open, timeouts, trusted certificates.

    Safe to share between threads. Raises SettingsError when the CA file cannot be read.
    """

    def __init__(self, settings: Settings) -> None:
        self.url = settings.cloudstack_url
        self._connect_seconds: float = settings["CLOUDSTACK_CONNECT_TIMEOUT"]
        self._timeout = Timeout(connect=self._connect_seconds, read=settings["CLOUDSTACK_READ_TIMEOUT"])
        self._connections = _connections(self.url, settings)
        self._path = urlsplit(self.url).path
        self._side_by_side = min(SIDE_BY_SIDE, settings["CLOUDSTACK_POOL_SIZE"])
        self._pool: ThreadPoolExecutor | None = None
        self._pool_owner = 0
        self._lock = threading.Lock()

    def cloud(self, api_key: str, secret_key: str, *, key: str, projectid: str | None = None) -> Cloud:
        """CloudStack as the owner of these keys sees it. ``key`` names that account, for caches: use one
        that no other account can have, such as its UUID. With ``projectid`` every command that takes it
        gets it."""
        return Cloud(self, api_key, secret_key, key=key, projectid=projectid)

    def close(self) -> None:
        """Close the connections and stop the helper threads."""
        self._connections.close()
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    def trouble(self) -> str | None:
        """Why nothing at this address speaks CloudStack's API, in a sentence; None where it does.

        Asked without keys: CloudStack refuses that, in the envelope of the command (its ApiServer).
        """
        question = signing.query({"command": "listCapabilities", "response": "json"})
        try:
            answer = self.get(question, self._connect_seconds)
        except HTTPError as error:
            return _Dropped(error).words
        known = (b"listcapabilitiesresponse", b"errorresponse")
        return None if any(name in answer.data for name in known) else "What answers there is not CloudStack's API."

    def get(self, query: str, seconds: float | None = None) -> BaseHTTPResponse:
        """Send a query by GET, quoted as it is to be sent; ``seconds`` in place of the settings' timeouts. Raises
        urllib3's HTTPError where no answer comes."""
        timeout = self._timeout if seconds is None else seconds
        return self._connections.urlopen("GET", f"{self._path}?{query}", timeout=timeout, **AS_IT_COMES)

    def post(self, form: str, cookies: str = "") -> BaseHTTPResponse:
        """Send a form, quoted as it is to be sent, with a session's cookies where it has any. Raises as :meth:`get`."""
        headers = {**self._connections.headers, "Content-Type": "application/x-www-form-urlencoded"}
        if cookies:
            headers["Cookie"] = cookies
        body = form.encode()
        return self._connections.urlopen("POST", self._path, body, headers, timeout=self._timeout, **AS_IT_COMES)

    def submit(self, function: Callable[[], Any]) -> Future[Any]:
        """Run ``function`` in a helper thread, in a copy of the caller's context."""
        context = contextvars.copy_context()
        with self._lock:
            # A process forked from one with a pool inherits the object but none of its threads.
            if self._pool is None or self._pool_owner != os.getpid():
                self._pool = ThreadPoolExecutor(self._side_by_side, thread_name_prefix="cloudstack")
                self._pool_owner = os.getpid()
            return self._pool.submit(context.run, function)

    def __repr__(self) -> str:
        return f"Endpoint({self.url!r})"


class Cloud:
    """CloudStack's API with one user's keys, in one scope.

    ``key`` is what cached answers are kept under: the account's, and the project's where there is one. It
    is not enough to know the project: what its members see of zones and offerings depends on their own
    account.
    """

    def __init__(
        self, endpoint: Endpoint, api_key: str, secret_key: str, *, key: str, projectid: str | None = None
    ) -> None:
        self.endpoint = endpoint
        self.key = f"{key}/{projectid}" if projectid else key
        self.projectid = projectid
        self._account_key = key
        self._api_key = api_key
        self._secret_key = secret_key

    def __repr__(self) -> str:
        return f"Cloud(key={self.key!r})"

    def __getstate__(self) -> NoReturn:
        raise TypeError("A Cloud holds keys and is never serialised.")

    def within(self, projectid: str | None) -> Cloud:
        """The same user's view of a CloudStack project, or of the account itself (None)."""
        return Cloud(self.endpoint, self._api_key, self._secret_key, key=self._account_key, projectid=projectid)

    def call(self, command_name: str, /, **params: Any) -> Row:
        """Send one command; returns the object inside the envelope: ``{"count": 3, "zone": [...]}``,
        ``{"jobid": ...}``, ``{"id": ..., "jobid": ...}`` or ``{"success": True}``.

        Booleans, numbers, lists (``ids=[a, b]``), lists of dictionaries (``tags=[{"key": k, "value": v}]``)
        and dictionaries (``details={"memory": 512}``) become CloudStack's forms; None is left out.
        ``projectid=None`` leaves the scope. Raises ValueError for a name CloudStack does not know, else
        CloudStackError.
        """
        spec = command(command_name)
        if self.projectid and spec.scoped and not {"projectid", "account"} & params.keys():
            params["projectid"] = self.projectid
        wire = {"command": spec.name, "response": "json"} | spec.encode(params)
        attempts = 2 if spec.reads else 1
        while True:
            attempts -= 1
            try:
                return self._send(spec, wire)
            except _Dropped as dropped:
                if not attempts or dropped.status == "timeout":
                    raise Unavailable(spec.name, dropped.words, sent=dropped.sent) from None

    def list(self, command_name: str, /, **params: Any) -> Rows:
        """Every row of a list command, whatever its array is called; [] where there is none.

        ``ids=[]`` asks for nothing and gets nothing: CloudStack would return everything.
        """
        if "ids" in params and params["ids"] is not None and not params["ids"]:
            command(command_name)
            return []
        rows: Rows = []
        for page in self._pages(command_name, params):
            rows += page
        return rows if len(rows) <= PAGE_SIZE else _without_repeats(rows)

    def page(self, command_name: str, page: int, pagesize: int, /, **params: Any) -> tuple[Rows, int]:
        """One page (from 1, at most 500 rows) and the number of all matches."""
        answer = self.call(command_name, page=page, pagesize=pagesize, **params)
        rows = _rows(answer)
        return rows, int(answer.get("count", len(rows)))

    def first(self, command_name: str, /, **params: Any) -> Row | None:
        """The first row, or None. Filters by name are exact but ignore case."""
        if command(command_name).paged:
            params |= {"page": 1, "pagesize": 1}
        rows = _rows(self.call(command_name, **params))
        return rows[0] if rows else None

    def count(self, command_name: str, /, **params: Any) -> int:
        """How many rows there are, for the price of one."""
        return self.page(command_name, 1, 1, **params)[1]

    def together(self, *calls: tuple[str, Mapping[str, Any]]) -> Results:
        """Calls side by side, results in order: all rows (as :meth:`list`) for ``list*``, else the inner
        object.

        All run to their end; then the first failure in order is raised.
        """
        results = self.attempt(*calls)
        for result in results:
            if isinstance(result, Exception):
                raise result
        return results

    def attempt(self, *calls: tuple[str, Mapping[str, Any]]) -> Results:
        """As :meth:`together`, with each failure, an exception, in the place of its result."""
        steps = [self._step(name, params) for name, params in calls]
        others = [self.endpoint.submit(step) for step in steps[1:]]
        results = [_outcome(step) for step in steps[:1]]
        return results + [_outcome(other.result) for other in others]

    def _step(self, name: str, params: Mapping[str, Any]) -> Callable[[], Any]:
        return lambda: (self.list if name.startswith("list") else self.call)(name, **params)

    def _pages(self, name: str, params: Mapping[str, Any]) -> Iterator[Rows]:
        if not command(name).paged or "page" in params:
            yield _rows(self.call(name, **params))
            return
        number = 0
        while True:
            number += 1
            answer = self.call(name, **params, page=number, pagesize=PAGE_SIZE)
            rows = _rows(answer)
            yield rows
            # Some commands drop rows from a page after counting, so a short page need not be the last.
            if not rows or (len(rows) < PAGE_SIZE and number * PAGE_SIZE >= answer.get("count", 0)):
                return

    @property
    def _secrets(self) -> tuple[str, str]:
        return self._api_key, self._secret_key

    def _send(self, spec: Command, wire: Mapping[str, str]) -> Row:
        body = signing.query(signing.signed(wire, self._api_key, self._secret_key, datetime.now(UTC)))
        if len(body) > LONGEST_POST:
            raise CloudStackError(spec.name, 413, f"{len(body)} bytes are more than CloudStack accepts (1 MiB).")
        started, status = time.monotonic(), "cut"
        try:
            response = self._exchange(spec, body)
            status = str(response.status)
        except HTTPError as error:
            dropped = _Dropped(error)
            status = dropped.status
            raise dropped from None
        finally:
            record(spec.name, (time.monotonic() - started) * 1000, status)
        return self._opened(spec, response)

    def _exchange(self, spec: Command, body: str) -> BaseHTTPResponse:
        if spec.reads and len(body) <= LONGEST_GET:
            return self.endpoint.get(body)
        return self.endpoint.post(body)

    def _opened(self, spec: Command, response: BaseHTTPResponse) -> Row:
        try:
            envelope = orjson.loads(response.data)
            inner = next(iter(envelope.values()))
        except (ValueError, AttributeError, StopIteration):
            inner = None
        if not isinstance(inner, dict):
            raise Unavailable(
                spec.name,
                f"CloudStack's address answered HTTP {response.status} without an answer of its API.",
                sent=response.status not in (404, 405),
                secrets=self._secrets,
            )
        if "errorcode" in inner or response.status >= 400:
            raise self._refusal(spec, response.status, inner)
        return cast(Row, inner)

    def _refusal(self, spec: Command, status: int, inner: Row) -> CloudStackError:
        code = int(inner.get("errorcode", status))
        text = str(inner.get("errortext") or f"CloudStack answered HTTP {status} and said no more.")
        if code == 503:
            return Unavailable(spec.name, text, sent=True, secrets=self._secrets)
        return cloudstack_error(spec.name, code, text, cscode=inner.get("cserrorcode"), secrets=self._secrets)


class _Dropped(Exception):
    """A call without an answer. Never leaves this module: urllib3's own texts hold the signed URL."""

    def __init__(self, error: HTTPError) -> None:
        super().__init__()
        chain = list(_causes(error))
        self.sent = not any(isinstance(one, _UNSENT) for one in chain)
        if isinstance(error, TimeoutError) and not isinstance(error, NewConnectionError):  # which is one for urllib3
            self.status, self.words = "timeout", "CloudStack did not answer in time."
        elif any(isinstance(one, ssl.SSLCertVerificationError) for one in chain):
            self.status, self.words = "refused", "CloudStack's certificate could not be verified."
        elif not self.sent:
            self.status, self.words = "refused", "CloudStack cannot be reached."
        else:
            self.status, self.words = (
                "cut",
                "The connection to CloudStack was cut before the answer was complete.",
            )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what lies beneath: urllib3 hides causes in ``reason`` and ``args``."""
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting:
        one = waiting.pop()
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]


def _connections(url: str, settings: Settings) -> HTTPConnectionPool:
    """The connections that all users share. Neither proxies nor certificates of the process's environment count: they
    may not weaken what the settings say."""
    trusted = certifi.where()
    if settings["CLOUDSTACK_CA_FILE"]:
        trusted = str(Path(settings["CLOUDSTACK_CA_FILE"]).expanduser())
        try:
            ssl.create_default_context(cafile=trusted)
        except OSError as error:
            raise SettingsError(f"CLOUDSTACK_CA_FILE {trusted} cannot be used: {error}.") from error
    verified = {"cert_reqs": "CERT_REQUIRED", "ca_certs": trusted} if url.startswith("https:") else {}
    headers = make_headers(accept_encoding="gzip,deflate", user_agent=f"gstack/{__version__}")
    try:
        return connection_from_url(
            url, maxsize=settings["CLOUDSTACK_POOL_SIZE"], block=True, headers=headers, **verified
        )
    except LocationParseError:
        raise SettingsError(f"{url} is no address of CloudStack (CLOUDSTACK_HOST, CLOUDSTACK_PORT).") from None


def _rows(answer: Row) -> Rows:
    return next((value for value in answer.values() if isinstance(value, list)), [])


def _outcome(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except Exception as error:
        return error


def _without_repeats(rows: Rows) -> Rows:
    """Rows that slid to the next page while it was fetched come twice. Templates are listed once for each
    zone."""
    seen: set[tuple[Any, Any]] = set()
    kept: Rows = []
    for row in rows:
        identity = row.get("id"), row.get("zoneid")
        if identity[0] is None or identity not in seen:
            seen.add(identity)
            kept.append(row)
    return kept
