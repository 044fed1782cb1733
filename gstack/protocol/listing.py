"""What every list and aggregated list does with its rows: filter, order, cut a page, render it.

Apart from the resources, which know rows and views and nothing of pages. The surprising thing: a view is
called for the rows of the page only, unless the filter has to look inside; names are read for all rows.

Source of the shapes: recorded GCE lists (``kind``, ``id``, ``items``, ``selfLink``; no ``items`` when a
plain list is empty; a ``NO_RESULTS_ON_PAGE`` warning in each empty scope of an aggregated one).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Generic, Protocol, TypeVar

from gstack.errors import GceError
from gstack.protocol import masks, paging
from gstack.protocol.call import Call
from gstack.protocol.conditions import limited_work
from gstack.protocol.discovery import PLACEHOLDER, document
from gstack.protocol.filters import compile_filter
from gstack.protocol.ordering import Key, compile_order

Row = TypeVar("Row")
Thing = TypeVar("Thing", bound="Named")
Resource = dict[str, Any]

TRUE = ("true", "1")
CHUNK = 100  # rows prepared at a time when the filter has to look inside
# Kinds of failure that say a scope could not be asked, rather than that the question was wrong.
UNREACHABLE = frozenset({"backendError", "internalError", "rateLimitExceeded"})


@dataclass(frozen=True)
class Shape(Generic[Row]):
    """How rows are read; of rows that say so themselves, :func:`named` makes it.

    ``view(row)`` is the complete GCE resource, ``name(row)`` its name, ``created(row)`` its creation time
    (RFC 3339 text or datetime; without it the view is asked for every row), ``identity(row)`` what tells
    rows of one name apart (by default the row's ``id``). ``prepare(rows)`` is told which rows are about to
    be rendered, so that what they need is fetched at once.
    """

    view: Callable[[Row], Resource]
    name: Callable[[Row], str]
    created: Callable[[Row], object] | None = None
    identity: Callable[[Row], str] | None = None
    prepare: Callable[[Sequence[Row]], object] | None = None


class Named(Protocol):
    """A row that is an object with its name, its creation time and what tells it from others."""

    @property
    def name(self) -> str: ...

    @property
    def created(self) -> object: ...

    @property
    def id(self) -> str: ...


def named(view: Callable[[Thing], Resource]) -> Shape[Thing]:
    """The shape of rows that are :class:`Named`."""
    return Shape(view, lambda row: row.name, lambda row: row.created)


def empty(call: Call) -> Resource:
    """The list of what is never there."""
    return listing(call, [], Shape[Resource](dict, str))


class Source(ABC, Generic[Row]):
    """Rows of all scopes that come in the order of the list from where they are kept, as many as are asked for.

    What it keeps must not change its name: then the key of the last row is all that a page token needs.
    """

    @abstractmethod
    def scope(self, row: Row) -> str:
        """The row's scope; "" in a plain list."""

    @abstractmethod
    def read(self, after: Key, newest_first: bool, limit: int) -> Sequence[Row]:
        """Up to ``limit`` rows behind the key ``after`` (scope, then that of :class:`Order`), from the first where that
        is ()."""


def listing(
    call: Call,
    rows: Iterable[Row] | Source[Row],
    shape: Shape[Row],
    *,
    member: str = "items",
    warning: Resource | None = None,
    seal: paging.Seal | None = None,
) -> Resource:
    """The answer of a plain list over all ``rows``.

    ``member`` is the list's name where it is not ``items``, ``warning`` goes into the answer as it is. Raises
    GceError (400) for ``filter``, ``orderBy``, ``maxResults`` or ``pageToken``.
    """
    page = _Page(call, shape, seal)
    source = rows if isinstance(rows, Source) else [("", rows)]
    found = [entry.resource for entry in page.take(source)]
    return _envelope(call, {member: found} if found else {}, page.token, warning)


def aggregated(
    call: Call,
    scopes: Iterable[tuple[str, Iterable[Row] | Exception]] | Source[Row],
    member: str,
    shape: Shape[Row],
    *,
    own_scopes: Iterable[str] = (),
    all_scopes: Iterable[str] = (),
    seal: paging.Seal | None = None,
) -> Resource:
    """The answer of an aggregated list: scopes in alphabetical order, ``maxResults`` over all of them.

    ``scopes`` are pairs of a scope's path (``zones/z``, ``regions/r``, ``global``) and its rows, or the
    GceError that asking for them met: with ``returnPartialSuccess`` a scope that could not be reached
    becomes a warning; otherwise, and when no scope could be reached, the error is raised. ``member`` is the
    resource's name in the plural (``instances``). ``own_scopes`` are all where it could be, shown empty or not;
    ``all_scopes`` those that ``includeAllScopes`` shows, read only then. Raises GceError (400) as :func:`listing`.
    """
    page = _Page(call, shape, seal)
    found: dict[str, Iterable[Row]] = {}
    failed: set[str] = set()
    if not isinstance(scopes, Source):
        found, failed = _reached(scopes, partial=partial_success(call))
    on_page: dict[str, list[Resource | None]] = {}
    for entry in page.take(scopes if isinstance(scopes, Source) else sorted(found.items(), key=itemgetter(0))):
        on_page.setdefault(entry.scope, []).append(entry.resource)
    shown = {*found, *failed, *on_page, *own_scopes, *(all_scopes if _flag(call, "includeAllScopes") else ())}
    items = {
        scope: {member: on_page[scope]}
        if scope in on_page
        else {"warning": _unreachable(scope) if scope in failed else _no_results(scope)}
        for scope in sorted(shown)
    }
    members: Resource = {"items": items}
    if failed and _has_unreachables(call.method.response):
        members["unreachables"] = sorted(failed)
    return _envelope(call, members, page.token, None)


def sought(call: Call) -> Mapping[str, str]:
    """What members must equal for the list's filter, by dotted name, so that CloudStack need not be asked for all rows.
    The filter is applied all the same. Raises GceError (400) for a filter that cannot be read."""
    return compile_filter(call.params.get("filter")).equalities()


def sought_words(call: Call) -> Mapping[str, str]:
    """As :func:`sought`, with what members must hold as whole words, which is how gcloud asks."""
    return compile_filter(call.params.get("filter")).words()


def needs(call: Call, member: str, collection: str) -> bool:
    """Whether a member of the rows can be seen: by the filter, or in the answer, of which ``fields`` may cut it.
    ``collection`` is the resource's name in the plural."""
    if member in compile_filter(call.params.get("filter")).fields:
        return True
    rows = ("items", masks.WILDCARD, collection) if call.method.verb == "aggregatedList" else ("items",)
    return masks.keeps(masks.compile_mask(call.params.get("fields") or ""), (*rows, member))


def partial_success(call: Call) -> bool:
    """Whether scopes that cannot be reached may be missing."""
    return _flag(call, "returnPartialSuccess")


@dataclass
class _Entry(Generic[Row]):
    """A row with its scope and sort key; ``resource`` once it was rendered."""

    scope: str
    key: Key
    row: Row
    identity: str
    resource: Resource | None = None

    @property
    def digest(self) -> str:
        """What the row is known by while its page token goes round, whatever becomes of its name."""
        return paging.digest(self.scope, self.identity)


class _Page(Generic[Row]):
    """One page: what the query asks for, and after :meth:`take` the token of the next one."""

    def __init__(self, call: Call, shape: Shape[Row], seal: paging.Seal | None) -> None:
        params = call.params
        self.token: str | None = None
        self._left: tuple[str, ...] = ()
        self._shape = shape
        self._filter = compile_filter(params.get("filter"))
        self._by_name = self._filter.part({"name"})
        self._order = compile_order(params.get("orderBy"))
        self._size = paging.page_size(params.get("maxResults"))
        self._given_seal = seal
        # Another credential may see other rows, or the same ones under other names.
        self._caller = str(getattr(call.caller, "credential_id", ""))
        self._query = paging.query_digest(call.method.id, params, self._caller)
        token = params.get("pageToken")
        self._mark = self._seal.redeem(self._query, token) if token else paging.Mark(())

    @property
    def _seal(self) -> paging.Seal:
        return self._given_seal or paging.current_seal()

    def take(self, scopes: Iterable[tuple[str, Iterable[Row]]] | Source[Row]) -> list[_Entry[Row]]:
        """The page's entries, rendered. ``scopes`` come in their order."""
        with limited_work():
            return self._taken(scopes)

    def _taken(self, scopes: Iterable[tuple[str, Iterable[Row]]] | Source[Row]) -> list[_Entry[Row]]:
        waiting = [] if isinstance(scopes, Source) else self._waiting(scopes)
        chunks = self._read(scopes) if isinstance(scopes, Source) else _chunks(waiting)
        page: list[_Entry[Row]] = []
        for entry in self._passing(chunks):
            if len(page) == self._size:
                last = page[-1]
                mark = self._next(waiting, last) if waiting else paging.Mark(last.key)
                self.token = self._seal.issue(self._query, mark)
                break
            page.append(entry)
        for _ in self._rendered(page):
            pass
        return page

    def _passing(self, chunks: Iterator[list[_Entry[Row]]]) -> Iterator[_Entry[Row]]:
        for chunk in chunks:
            if self._filter.fields <= {"name"}:
                yield from chunk
                continue
            for entry, resource in self._rendered(chunk):
                if self._filter.matches(resource):
                    yield entry

    def _read(self, source: Source[Row]) -> Iterator[list[_Entry[Row]]]:
        """The entries of a source whose names pass, from where the page begins."""
        after, limit = self._mark.after, self._size + 1
        while True:
            rows = source.read(after, self._order.newest_first, limit)
            entries = [self._entry(source.scope(row), self._shape.name(row), row) for row in rows]
            yield [entry for entry, row in zip(entries, rows, strict=True) if self._named(row)]
            if len(rows) < limit:
                return
            after = entries[-1].key

    def _named(self, row: Row) -> bool:
        return self._by_name.matches({"name": self._shape.name(row)})

    def _waiting(self, scopes: Iterable[tuple[str, Iterable[Row]]]) -> list[_Entry[Row]]:
        """The rows that earlier pages did not show and whose names pass, in order."""
        entries = []
        for scope, rows in scopes:
            for row in rows:
                name = self._shape.name(row)
                if self._by_name.matches({"name": name}):
                    entries.append(self._entry(scope, name, row))
        self._left = self._kept()
        if self._left:
            known = {entry.digest: entry for entry in entries}
            return [known[digest] for digest in self._left if digest in known]
        entries.sort(key=_key)
        return entries[bisect_right(entries, self._mark.after, key=_key) :]

    def _kept(self) -> tuple[str, ...]:
        """What was left of this list when the page before was read; nothing where only the key is known."""
        snapshots, mark = self._seal.snapshots, self._mark
        if mark.left or snapshots is None or not mark.snapshot:
            return mark.left
        content = snapshots.read(mark.snapshot)
        return paging.unpacked(content)[mark.at :] if content is not None else ()

    def _next(self, waiting: list[_Entry[Row]], last: _Entry[Row]) -> paging.Mark:
        """Where the next page begins, and what is left for it: in the token where that is short, else in the store."""
        snapshots, name = self._seal.snapshots, self._mark.snapshot
        left = self._left or tuple(entry.digest for entry in waiting)
        if len(set(left)) < len(left):  # rows that cannot be told apart are known by their keys alone
            return paging.Mark(last.key)
        at = left.index(last.digest) + 1
        if len(left) - at <= paging.CARRIED:
            return paging.Mark(last.key, left[at:])
        if self._left and name:
            return paging.Mark(last.key, snapshot=name, at=self._mark.at + at)
        if snapshots is not None and len(left) - at <= paging.MOST_KEPT:
            name = snapshots.keep(self._caller, paging.packed(left[at:]), paging.SNAPSHOT_LIFE) or ""
            return paging.Mark(last.key, snapshot=name)
        return paging.Mark(last.key)

    def _entry(self, scope: str, name: str, row: Row) -> _Entry[Row]:
        shape, resource, created = self._shape, None, None
        if self._order.newest_first and shape.created:
            created = shape.created(row)
        elif self._order.newest_first:
            resource = shape.view(row)
            created = resource.get("creationTimestamp") or resource.get("insertTime")
        identity = shape.identity(row) if shape.identity else _identity(row)
        return _Entry(scope, (scope, *self._order.key(name, identity, created)), row, identity, resource)

    def _rendered(self, entries: list[_Entry[Row]]) -> Iterator[tuple[_Entry[Row], Resource]]:
        """Each entry with its resource, made when it is asked for."""
        bare = [entry.row for entry in entries if entry.resource is None]
        if bare and self._shape.prepare:
            self._shape.prepare(bare)
        for entry in entries:
            if entry.resource is None:
                entry.resource = self._shape.view(entry.row)
            yield entry, entry.resource


def _chunks(entries: list[_Entry[Row]]) -> Iterator[list[_Entry[Row]]]:
    return (entries[start : start + CHUNK] for start in range(0, len(entries), CHUNK))


def _key(entry: _Entry[Any]) -> Key:
    return entry.key


def _identity(row: object) -> str:
    return str(row.get("id", "") if isinstance(row, Mapping) else getattr(row, "id", ""))


def _reached(
    scopes: Iterable[tuple[str, Iterable[Row] | Exception]], *, partial: bool
) -> tuple[dict[str, Iterable[Row]], set[str]]:
    """The rows of the scopes that answered, and the scopes that could not be reached."""
    found: dict[str, Iterable[Row]] = {}
    failed: dict[str, Exception] = {}
    for scope, rows in scopes:
        if not isinstance(rows, Exception):
            found[scope] = rows
        elif partial and isinstance(rows, GceError) and rows.kind in UNREACHABLE:
            failed[scope] = rows
        else:
            raise rows
    if failed and not found:
        raise next(iter(failed.values()))
    return found, set(failed)


def _envelope(call: Call, members: Resource, token: str | None, warning: Resource | None) -> Resource:
    """``members`` and what stands round them, as far as the answer's schema has it: lists of licences have no kind,
    listManagedInstances none of the three."""
    path = PLACEHOLDER.sub(lambda hole: str(call.params[hole[1]]), call.method.path)
    round_them = {"kind": call.method.kind, "id": path, "selfLink": call.links.absolute(path)}
    known = document().schemas[call.method.response or ""]["properties"]
    answer = dict(members) | {name: value for name, value in round_them.items() if name in known}
    if token is not None:
        answer["nextPageToken"] = token
    if warning is not None:
        answer["warning"] = warning
    return answer


def _has_unreachables(response: str | None) -> bool:
    """Four aggregated lists, instance templates among them, have no such member."""
    return "unreachables" in document().schemas[response or ""]["properties"]


def _flag(call: Call, name: str) -> bool:
    return str(call.params.get(name, "")).lower() in TRUE


def _no_results(scope: str) -> Resource:
    message = f"There are no results for scope '{scope}' on this page."
    return {"code": "NO_RESULTS_ON_PAGE", "message": message, "data": [{"key": "scope", "value": scope}]}


def _unreachable(scope: str) -> Resource:
    message = f"The scope '{scope}' could not be reached; its resources are missing from this page."
    return {"code": "UNREACHABLE", "message": message, "data": [{"key": "scope", "value": scope}]}
