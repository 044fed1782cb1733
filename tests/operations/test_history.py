"""Operations a page at a time: the same as if all had been read, filtered and ordered here."""

from __future__ import annotations

import random
from typing import Any
from unittest import mock

import pytest

from gstack.operations.history import COLUMNS, History
from gstack.operations.identity import operation_name, operation_number
from gstack.protocol.filters import Filter
from gstack.store.db import db
from gstack.store.operations import DONE, RUNNING, Operation

COUNT = 40
SCOPES = ["global", "regions/ch-gva", "zones/ch-gva-2", "zones/de-fra-1"]
PATHS = ["aggregated/operations", "global/operations", "zones/ch-gva-2/operations"]


@pytest.fixture
def past(gateway: Any) -> list[dict[str, Any]]:
    """Operations of every scope, some of them of one moment; and of somebody else."""
    chance = random.Random(1)
    rows = []
    for number in range(COUNT):
        moment = 1_790_000_000_000 + chance.randrange(10)
        rows.append(
            {
                "id": operation_number(),
                "name": operation_name(moment + chance.randrange(10)),
                "project": gateway.project if number % 8 else "somebody",
                "scope": chance.choice(SCOPES),
                "type": chance.choice(["insert", "delete", "set_x", "setAx"]),
                "target_link": "projects/p/global/networks/n",
                "user": "ada@example.com",
                "insert_ms": moment,
                "status": chance.choice([DONE, RUNNING]),
                "operation_group_id": chance.choice([None, "group-1", "group-12"]),
            }
        )
    with gateway.app.app_context():
        db.session.add_all(Operation(**row) for row in rows)
        db.session.commit()
    return [row for row in rows if row["project"] == gateway.project]


def _read(gateway: Any, path: str, **query: Any) -> tuple[list[tuple[str, str]], list[int]]:
    """All pages: scope and name of every operation; and how many rows each reading gave."""
    seen: list[tuple[str, str]] = []
    sizes: list[int] = []
    reading = History.read

    def counted(self: History, *arguments: Any) -> Any:
        rows = reading(self, *arguments)
        sizes.append(len(rows))
        return rows

    token: dict[str, str] = {}
    with mock.patch.object(History, "read", counted):
        while True:
            answer = gateway.get(path, **query, **token)
            items = answer.get("items", {})
            scopes = items.items() if isinstance(items, dict) else [("", {"operations": items})]
            seen += [(scope, row["name"]) for scope, found in scopes for row in found.get("operations", [])]
            if "nextPageToken" not in answer:
                return seen, sizes
            token = {"pageToken": answer["nextPageToken"]}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("order", ["name", "creationTimestamp desc"])
@pytest.mark.parametrize("size", [1, 7, 500])
def test_pages_are_the_whole_in_order_and_no_more_is_read_than_they_show(
    gateway: Any, past: list[dict[str, Any]], path: str, order: str, size: int
) -> None:
    together = path.startswith("aggregated")
    rows = [row for row in past if together or path.startswith(row["scope"])]
    keys = [
        (row["scope"] if together else "", -row["insert_ms"] if order != "name" else 0, row["name"]) for row in rows
    ]
    seen, sizes = _read(gateway, path, orderBy=order, maxResults=size)
    assert seen == [(scope, name) for scope, _, name in sorted(keys)]
    assert max(sizes) <= size + 1
    assert len(sizes) == max(1, -(-len(rows) // size))


FILTERS = [
    "status = RUNNING",
    "status eq RUN.*",
    "operationType = set_x",
    r'operationType eq ".*\bset_x\b.*"',
    r'operationGroupId eq ".*\bgroup\-1\b.*"',
    "operationGroupId = group-1 AND NOT status = DONE",
    "operationType = delete OR status = DONE",
    "user = ADA@example.com",
    "clientOperationId = x",
    'user = "\x00"',
    'user = "\ud7ff%"',
    "targetLink:networks",
    "progress = 0",
]


@pytest.mark.parametrize("text", FILTERS)
def test_what_the_store_filters_is_what_the_filter_means(gateway: Any, past: list[dict[str, Any]], text: str) -> None:
    for path in PATHS[:2]:
        pushed, _ = _read(gateway, path, filter=text, maxResults=3)
        with mock.patch.object(Filter, "_wanted", lambda *_: {}):
            assert _read(gateway, path, filter=text)[0] == pushed


def test_one_name_is_read_alone(gateway: Any, past: list[dict[str, Any]]) -> None:
    row = past[3]
    for text in (f"name = {row['name']}", f"name eq {row['name']}"):
        assert _read(gateway, "aggregated/operations", filter=text) == ([(row["scope"], row["name"])], [1])


def test_every_member_that_is_pushed_down_is_shown_as_it_is_kept(gateway: Any, past: list[dict[str, Any]]) -> None:
    item = gateway.get("aggregated/operations", filter="operationGroupId:*", maxResults=1)["items"]
    shown = next(found["operations"][0] for found in item.values() if "operations" in found)
    row = next(row for row in past if row["name"] == shown["name"])
    assert {member: shown[member] for member in COLUMNS.keys() & shown.keys()} == {
        member: row[column.key] for member, column in COLUMNS.items() if member in shown
    }
