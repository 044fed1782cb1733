"""Lists that change while their pages are read: what was there throughout appears exactly once, in order."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gstack.protocol import paging
from gstack.protocol.call import Call
from gstack.protocol.discovery import document
from gstack.protocol.links import Links
from gstack.protocol.listing import Shape, aggregated, listing
from gstack.protocol.paging import Seal

SEAL = Seal(lambda: [b"k" * 32])


class Shelf:
    """Keeps lists that are too long for a token, until ``lost``."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.lost = False

    def keep(self, owner: str, content: bytes, seconds: int) -> str:
        assert (owner, seconds) == ("", paging.SNAPSHOT_LIFE)
        self.kept[str(len(self.kept))] = content
        return str(len(self.kept) - 1)

    def read(self, name: str) -> bytes | None:
        return None if self.lost else self.kept[name]


ORDERS = st.sampled_from([None, "name", "creationTimestamp desc"])

rows = st.dictionaries(
    st.integers(0, 30),
    st.fixed_dictionaries({"name": st.sampled_from("abcde"), "created": st.integers(1, 5), "odd": st.booleans()}),
    max_size=12,
).map(lambda found: [{"id": f"{number:02}", **row} for number, row in found.items()])
edits = st.lists(st.tuples(st.sets(st.integers(0, 30), max_size=4), rows.map(lambda found: found[:3])), max_size=20)
Row = dict[str, Any]


def a_call(method: str, **params: Any) -> Call:
    links = Links("https://h/compute/v1")
    return Call(document().methods[method], {"project": "p", "zone": "z", **params}, {}, links)


SHAPE = Shape[Row](
    lambda row: {key: value for key, value in row.items() if key != "created"},
    lambda row: str(row["name"]),
    lambda row: f"2025-01-{row['created']:02}T00:00:00Z",
)


def ordered(found: list[Row], order: str | None) -> list[str]:
    newest = order == "creationTimestamp desc"
    return [
        row["id"] for row in sorted(found, key=lambda row: (-row["created"] if newest else 0, row["name"], row["id"]))
    ]


@given(rows, st.integers(1, 5), ORDERS, st.sampled_from([None, "odd = true", "name != c"]))
@settings(deadline=None)
def test_pages_concatenate_to_the_whole(found: list[Row], size: int, order: str | None, text: str | None) -> None:
    seen: list[str] = []
    params: dict[str, Any] = {"maxResults": size, "orderBy": order, "filter": text}
    while True:
        answer = listing(a_call("compute.instances.list", **params), found, SHAPE, seal=SEAL)
        page = [item["id"] for item in answer.get("items", [])]
        seen += page
        if "nextPageToken" not in answer:
            break
        assert len(page) == size
        params["pageToken"] = answer["nextPageToken"]
    wanted = {
        None: lambda row: True,
        "odd = true": lambda row: row["odd"],
        "name != c": lambda row: row["name"] != "c",
    }
    assert seen == ordered([row for row in found if wanted[text](row)], order)


@given(rows, edits, st.integers(1, 4), ORDERS)
@settings(deadline=None)
def test_what_exists_throughout_appears_once_whatever_comes_and_goes(
    found: list[Row], changes: list[tuple[set[int], list[Row]]], size: int, order: str | None
) -> None:
    standing = {row["id"]: row for row in found}
    throughout = dict(standing)
    seen: list[str] = []
    params: dict[str, Any] = {"maxResults": size, "orderBy": order}
    pending = iter(changes)
    while True:
        answer = listing(a_call("compute.instances.list", **params), list(standing.values()), SHAPE, seal=SEAL)
        seen += [item["id"] for item in answer.get("items", [])]
        if "nextPageToken" not in answer:
            break
        params["pageToken"] = answer["nextPageToken"]
        gone, new = next(pending, (set(), []))
        for number in gone:
            standing.pop(f"{number:02}", None)
            throughout.pop(f"{number:02}", None)
        standing |= {"new-" + row["id"]: row | {"id": "new-" + row["id"]} for row in new}
    kept = [identity for identity in seen if identity in throughout]
    assert kept == ordered(list(throughout.values()), order)


@given(
    st.dictionaries(st.sampled_from(["global", "regions/r", "zones/a", "zones/b"]), rows),
    st.integers(1, 6),
    ORDERS,
)
@settings(deadline=None)
def test_pages_of_aggregated_lists_concatenate_scope_by_scope(
    scopes: dict[str, list[Row]], size: int, order: str | None
) -> None:
    seen: dict[str, list[str]] = {}
    params: dict[str, Any] = {"maxResults": size, "orderBy": order}
    while True:
        call = a_call("compute.instances.aggregatedList", **params)
        answer = aggregated(call, scopes.items(), "instances", SHAPE, seal=SEAL)
        assert list(answer["items"]) == sorted(scopes)
        pages = {scope: member.get("instances", []) for scope, member in answer["items"].items()}
        assert sum(map(len, pages.values())) <= size
        for scope, page in pages.items():
            seen.setdefault(scope, []).extend(item["id"] for item in page)
        if "nextPageToken" not in answer:
            break
        params["pageToken"] = answer["nextPageToken"]
    assert seen == {scope: ordered(found, order) for scope, found in scopes.items()}


@given(
    rows,
    edits,
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abcde"))),
    st.integers(1, 4),
    ORDERS,
    st.sampled_from([0, 3, 100]),
)
@settings(deadline=None)
def test_even_what_is_renamed_between_two_pages_appears_once(
    found: list[Row],
    changes: list[tuple[set[int], list[Row]]],
    renames: list[tuple[int, str]],
    size: int,
    order: Any,
    carried: int,
) -> None:
    standing = {row["id"]: dict(row) for row in found}
    throughout = set(standing)
    seen: list[str] = []
    shelf = Shelf()
    params: dict[str, Any] = {"maxResults": size, "orderBy": order}
    pending, naming = iter(changes), iter(renames)
    with mock.patch.object(paging, "CARRIED", carried):
        while True:
            call = a_call("compute.instances.list", **params)
            answer = listing(call, list(standing.values()), SHAPE, seal=Seal(lambda: [b"k" * 32], shelf))
            seen += [item["id"] for item in answer.get("items", [])]
            if "nextPageToken" not in answer:
                break
            params["pageToken"] = answer["nextPageToken"]
            gone, new = next(pending, (set(), []))
            for number in gone:
                standing.pop(f"{number:02}", None)
                throughout.discard(f"{number:02}")
            standing |= {"new-" + row["id"]: row | {"id": "new-" + row["id"]} for row in new}
            for number, name in naming:
                if f"{number:02}" in standing:
                    standing[f"{number:02}"]["name"] = name
                    break
    assert len(shelf.kept) <= (len(found) > size + carried)
    assert len(seen) == len(set(seen))
    assert [identity for identity in seen if identity in throughout] == [
        identity for identity in ordered(found, order) if identity in throughout
    ]


@given(rows, st.integers(1, 4), ORDERS)
@settings(deadline=None)
def test_a_long_list_whose_order_was_lost_goes_on_where_it_was(found: list[Row], size: int, order: Any) -> None:
    shelf, seen = Shelf(), []
    params: dict[str, Any] = {"maxResults": size, "orderBy": order}
    with mock.patch.object(paging, "CARRIED", 0):
        for _ in range(len(found) + 1):
            call = a_call("compute.instances.list", **params)
            answer = listing(call, found, SHAPE, seal=Seal(lambda: [b"k" * 32], shelf))
            seen += [item["id"] for item in answer.get("items", [])]
            if "nextPageToken" not in answer:
                break
            params["pageToken"] = answer["nextPageToken"]
            shelf.lost = len(seen) >= 3
    assert seen == ordered(found, order)


@pytest.mark.parametrize(("limit", "value"), [("MOST_KEPT", 1), ("DIGEST", 8)])
def test_a_list_that_is_too_long_and_rows_that_cannot_be_told_apart_are_not_kept(limit: str, value: int) -> None:
    shelf = Shelf()
    found = [{"id": "same" if limit == "DIGEST" else name, "name": name, "created": 1, "odd": True} for name in "abcd"]
    seen: list[str] = []
    params: dict[str, Any] = {"maxResults": 1}
    with mock.patch.object(paging, "CARRIED", 0), mock.patch.object(paging, limit, value):
        for _ in found:
            call = a_call("compute.instances.list", **params)
            answer = listing(call, found, SHAPE, seal=Seal(lambda: [b"k" * 32], shelf))
            seen += [item["name"] for item in answer["items"]]
            if len(seen) < 3:
                assert shelf.kept == {}
            params["pageToken"] = answer.get("nextPageToken")
    assert seen == list("abcd")
