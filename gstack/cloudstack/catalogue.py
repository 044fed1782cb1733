"""What a cloud offers, which changes seldom: zones, offerings, templates, networks, OS types, permitted
commands.

Kept for a while, always under the key of the account (and project) the answer was obtained for: a private
template or offering must not show in another tenant's list. However many threads miss at once, CloudStack
is asked once. The surprising thing: a look-up that finds nothing asks again with ``refresh=True``, so what
somebody has just made with another tool is found.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

from gstack.cloudstack.client import Cloud, Row
from gstack.cloudstack.errors import Unavailable
from gstack.settings import Settings

LARGEST = 1_000  # answers kept; the one used longest ago goes first
# Times CATALOGUE_TTL: tenants make networks all day; roles and OS types hardly ever change.
SHORT, LONG = 0.1, 12

_Key = tuple[str, ...]
T = TypeVar("T")


class Catalogued(tuple[Row, ...]):
    """The rows of one answer, and what was made of them: it lasts as long as they do, and goes when they are asked for
    again."""

    def __init__(self, _rows: Iterable[Row] = ()) -> None:
        self._made: dict[Hashable, Any] = {}

    def made(self, what: Hashable, make: Callable[[Catalogued], T]) -> T:
        """What ``make`` makes of the rows, once for each ``what``. Shared by all threads, as they are: never change
        it."""
        if what not in self._made:
            self._made[what] = make(self)
        return cast(T, self._made[what])


@dataclass(frozen=True)
class _Answer(Generic[T]):
    value: T
    asked: float  # when the question was sent: what is newer than that may be missing


@dataclass
class _Entry(Generic[T]):
    lock: threading.Lock = field(default_factory=threading.Lock)
    answer: _Answer[T] | None = None
    failure: Unavailable | None = None
    failed: float = 0


class Catalogue:
    """Cached answers of CloudStack's catalogue commands. Rows are shared by all threads: never change one."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = float(settings["CATALOGUE_TTL"])
        self._clock = clock
        self._entries: OrderedDict[_Key, _Entry[Any]] = OrderedDict()
        self._lock = threading.Lock()

    def zones(self, cloud: Cloud, *, refresh: bool = False) -> Catalogued:
        """Rows of listZones. A user does not see disabled ones."""
        return self._get(cloud, ("zones",), refresh, lambda: Catalogued(cloud.list("listZones")))

    def service_offerings(self, cloud: Cloud, *, refresh: bool = False) -> Catalogued:
        """Rows of listServiceOfferings; memory in MB, cpuspeed in MHz; both missing in customizable ones."""
        return self._get(cloud, ("service_offerings",), refresh, lambda: Catalogued(cloud.list("listServiceOfferings")))

    def disk_offerings(self, cloud: Cloud, *, refresh: bool = False) -> Catalogued:
        """Rows of listDiskOfferings; disksize in GB, 0 where it is up to the user."""
        return self._get(cloud, ("disk_offerings",), refresh, lambda: Catalogued(cloud.list("listDiskOfferings")))

    def templates(self, cloud: Cloud, templatefilter: str, *, refresh: bool = False) -> Catalogued:
        """Rows of listTemplates, one for each zone a template is in, all with the same id.

        ``templatefilter`` is featured, self, selfexecutable, sharedexecutable, executable or community.
        """
        return self._get(
            cloud,
            ("templates", templatefilter),
            refresh,
            lambda: Catalogued(cloud.list("listTemplates", templatefilter=templatefilter)),
        )

    def networks(self, cloud: Cloud, *, refresh: bool = False) -> Catalogued:
        """Rows of listNetworks, kept for a tenth of the time. Whoever makes or deletes one calls
        :meth:`forget`."""
        return self._get(cloud, ("networks",), refresh, lambda: Catalogued(cloud.list("listNetworks")), SHORT)

    def os_types(self, cloud: Cloud, *, refresh: bool = False) -> Catalogued:
        """Rows of listOsTypes."""
        return self._get(cloud, ("os_types",), refresh, lambda: Catalogued(cloud.list("listOsTypes")), LONG)

    def apis(self, cloud: Cloud, *, refresh: bool = False) -> frozenset[str]:
        """Names of the commands that the account's role allows. The answer is 2 MB, so it is kept long."""
        return self._get(
            cloud, ("apis",), refresh, lambda: frozenset(api["name"] for api in cloud.list("listApis")), LONG
        )

    def forget(self, cloud: Cloud, what: str) -> None:
        """Drop what is kept of one method (``"templates"``, ``"networks"`` ...) for this account or
        project."""
        with self._lock:
            for key in [key for key in self._entries if key[:2] == (cloud.key, what)]:
                del self._entries[key]

    def _get(self, cloud: Cloud, what: _Key, refresh: bool, ask: Callable[[], T], longer: float = 1) -> T:
        wanted = self._clock()
        # Whoever waited for the lock while another thread asked takes that answer, even to refresh.
        oldest = wanted if refresh else wanted - self._seconds * longer
        entry: _Entry[T] = self._entry((cloud.key, *what))
        answer = entry.answer
        if answer is not None and answer.asked > oldest:
            return answer.value
        with entry.lock:
            if entry.answer is None or entry.answer.asked <= oldest:
                entry.answer = self._ask(entry, wanted, ask)
            return entry.answer.value

    def _ask(self, entry: _Entry[T], wanted: float, ask: Callable[[], T]) -> _Answer[T]:
        if entry.failure is not None and entry.failed >= wanted:
            raise entry.failure  # else every waiting thread in turn would sit out the same timeout
        asked = self._clock()
        try:
            return _Answer(ask(), asked)
        except Unavailable as error:
            entry.failure, entry.failed = error, self._clock()
            raise

    def _entry(self, key: _Key) -> _Entry[Any]:
        with self._lock:
            entry = self._entries.setdefault(key, _Entry())
            self._entries.move_to_end(key)
            if len(self._entries) > LARGEST:
                self._entries.popitem(last=False)
            return entry
