"""``orderBy`` and the keys that lists are sorted by."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gstack.errors import GceError
from gstack.protocol.ordering import compile_order, instant


@pytest.mark.parametrize("text", [None, "", "name", "name asc", " name  asc "])
def test_lists_are_ordered_by_name_unless_asked_otherwise(text: str | None) -> None:
    order = compile_order(text)
    assert order.key("a", "9") < order.key("b", "1") < order.key("b", "2")


def test_the_newest_come_first_and_what_has_no_time_comes_last() -> None:
    order = compile_order("creationTimestamp desc")
    newest = order.key("z", "", "2025-01-02T00:00:00Z")
    oldest = order.key("a", "", "2025-01-02T00:30:00+01:00")
    ancient = order.key("a", "", "1969-01-01T00:00:00Z")
    assert newest < oldest < ancient < order.key("a", "", None)


def test_what_was_made_at_one_instant_is_ordered_by_name() -> None:
    order = compile_order("creationTimestamp desc")
    moment = "2025-01-02T00:00:00Z"
    assert order.key("a", "2", moment) < order.key("b", "1", moment)


@pytest.mark.parametrize("text", ["name desc", "creationTimestamp", "creationTimestamp asc", "status", "name,id"])
def test_any_other_order_is_refused(text: str) -> None:
    with pytest.raises(GceError, match="Invalid value for field 'orderBy'") as caught:
        compile_order(text)
    assert caught.value.http == 400


def test_an_instant_is_the_same_however_it_is_written() -> None:
    moment = datetime(2025, 6, 20, 17, tzinfo=UTC)
    spellings = [
        moment,
        moment.replace(tzinfo=None),
        "2025-06-20T17:00:00Z",
        "2025-06-20t17:00:00.000z",
        "2025-06-20T10:00:00.000-07:00",
        "2025-06-20T17:00:00+0000",
    ]
    assert {instant(one) for one in spellings} == {1_750_438_800_000_000}


@pytest.mark.parametrize("value", ["", "yesterday", "20250620", "2025-06-31", "2025-13-01T00:00:00Z", 7, None])
def test_what_is_no_timestamp_is_no_instant(value: object) -> None:
    assert instant(value) is None
