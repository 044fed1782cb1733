"""Everything the list commands have in common: owners, filters, keyword, tags, paging, counting.

Apart, because CloudStack's lists differ only in their filters. Surprising: an empty list is `{}`, a page
past the end has a count and no array, and without paging a list is silently cut at 500 rows while the count
says how many there are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from . import errors
from .model import Entity, Row
from .params import Ghost

if TYPE_CHECKING:
    from .call import Call

T = TypeVar("T")
Test = Callable[[Any, Any], bool]
Filters = dict[str, Test]


def fold(text: str) -> str:
    """The collation compares without case, accents and trailing spaces."""
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return text.rstrip(" ").casefold()


def same_name(text: str | None, wanted: object) -> bool:
    return text is not None and bool(wanted) and fold(text) == fold(str(wanted))


def like(wanted: str) -> Callable[[str | None], bool]:
    """SQL's LIKE '%wanted%', in which % and _ of the caller are wildcards too."""
    parts = {"%": ".*", "_": "."}
    pattern = re.compile("".join(parts.get(c, re.escape(c)) for c in fold(wanted)), re.S)
    return lambda text: text is not None and pattern.search(fold(text)) is not None


def same_id(attribute: str) -> Test:
    """Compares an attribute that holds an id with the object that the caller named."""
    return lambda row, wanted: isinstance(wanted, Entity) and getattr(row, attribute) == wanted.id and bool(wanted.id)


def is_one_of(row: object, wanted: object) -> bool:
    return isinstance(wanted, list) and getattr(row, "id", None) in {item.id for item in wanted}


def name_is(row: object, wanted: object) -> bool:
    return same_name(getattr(row, "name", None), wanted)


ID_FILTERS: Filters = {"id": same_id("id"), "ids": is_one_of}


def visible_accounts(call: Call) -> Callable[[str], bool]:
    """Whose objects a list shows: the caller's, a project's, or, for administrators, those asked for."""
    world, caller = call.world, call.account
    project = call.args.get("projectid")
    if isinstance(project, Ghost):
        mine = {p.account for p in world.project if caller.id in p.members}
        return lambda account: account in mine
    if isinstance(project, Entity):
        call.check_access(project)
        return lambda account: account == getattr(project, "account", None)
    named = call.named_account()
    if named is not None:
        return lambda account: account == named.id
    if call.asks_for_one() or call.flag("listall"):
        if caller.type == 1:
            return lambda account: True
        if caller.type == 2:
            reach = {a.id for a in world.account if call.rules(a)}
            return lambda account: account in reach
    return lambda account: account == caller.id


def matches_tags(call: Call) -> Callable[[str], bool] | None:
    """`tags[n]` filters: one matching pair is enough, and each needs a value."""
    wanted = call.args.get("tags")
    if not isinstance(wanted, list):
        return None
    pairs = []
    for pair in wanted:
        assert isinstance(pair, dict)
        if not pair.get("value"):
            raise errors.invalid(f"No value is passed in for key {pair.get('key')}")
        pairs.append((fold(pair.get("key", "")), fold(pair["value"])))
    tags = call.world.tags
    return lambda key: any((fold(tag.key or ""), fold(tag.value)) in pairs for tag in tags.get(key, ()))


def select(call: Call, rows: Iterable[T], filters: Filters, words: Callable[[T], Iterable[str | None]]) -> list[T]:
    """The rows that pass every filter whose parameter was given."""
    active = [(test, call.args[name]) for name, test in filters.items() if name in call.args]
    found = [row for row in rows if all(test(row, wanted) for test, wanted in active)]
    keyword = call.text("keyword")
    if keyword:
        contains = like(keyword)
        found = [row for row in found if any(contains(text) for text in words(row))]
    tagged = matches_tags(call)
    if tagged is not None:
        found = [row for row in found if tagged(getattr(row, "id", ""))]
    return found


def page(call: Call, key: str, rows: list[T], view: Callable[[T], Row]) -> Row:
    if not rows:
        return {}
    chosen = [view(row) for row in window(call, rows)]
    return {"count": len(rows), key: chosen} if chosen else {"count": len(rows)}


def window(call: Call, rows: list[T]) -> list[T]:
    number, size = call.args.get("page"), call.args.get("pagesize")
    most = int(call.simulator.settings.number("default.page.size"))
    if size is None:
        return rows[:most]
    assert isinstance(size, int)
    if size == -1:
        if number is not None:
            raise errors.invalid("Can't specify page parameter when pagesize is -1 (Unlimited)")
        return rows
    if size > most:
        raise errors.invalid(f"Page size can't exceed max allowed page size value: {most}")
    start = (max(int(str(number)), 1) - 1) * max(size, 0)
    return rows[start : start + max(size, 0)]


def check_page(call: Call) -> None:
    """An oversized page is refused even when the list turns out empty."""
    window(call, [])
