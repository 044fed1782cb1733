"""Pages through a whole gateway, of long lists and of short ones: nothing twice, nothing lost,
and what it costs."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from gstack.protocol import paging
from gstack.protocol.ids import numeric_id
from gstack.store.db import db
from gstack.store.snapshots import EACH, PageSnapshot, PageSnapshots

DISKS = "zones/{zone}/disks"
ROWS = 620


@pytest.fixture
def volumes(gateway: Any) -> list[str]:
    """More disks than CloudStack lists at once, made by another tool; their ids, in no order."""
    offering = gateway.cloudstack("listDiskOfferings")[0]["id"]
    where = {"zoneid": gateway.zone_id, "diskofferingid": offering}
    world, made = gateway.simulator.world, []
    now = world.clock
    for number in range(ROWS):
        moment = now() - 10_000 + number  # each older than the next: the older of two has the plain name
        world.clock = lambda moment=moment: moment
        made.append(gateway.cloudstack("createVolume", name=f"d-{number % 400:03}", **where)["id"])
    world.clock = now
    gateway.simulator.settle()
    return made


def _pages(gateway: Any, size: int, **query: Any) -> Any:
    """Page after page, each the list of (id, name)."""
    token: dict[str, str] = {}
    while True:
        answer = gateway.get(DISKS, maxResults=size, **query, **token)
        yield [(item["id"], item["name"]) for item in answer.get("items", [])]
        if "nextPageToken" not in answer:
            return
        token = {"pageToken": answer["nextPageToken"]}


def test_pages_of_a_long_list_are_the_whole_while_its_rows_come_go_and_get_other_names(
    gateway: Any, volumes: list[str]
) -> None:
    by_number = {str(numeric_id(volume)): volume for volume in volumes}
    seen: list[tuple[str, str]] = []
    for page in _pages(gateway, 51):
        seen += page
        # The first of two disks of one name goes: the other one, which had a suffix, now has the name itself, and would
        # stand before the end of this page.
        gateway.cloudstack("deleteVolume", id=by_number[page[-1][0]])
        gateway.simulator.settle()
    times = Counter(identity for identity, _ in seen)
    assert max(times.values()) == 1
    left = {identity for page in _pages(gateway, 500) for identity, _ in page}
    assert len(left) > 500
    assert left <= set(times)


def test_a_list_is_read_upstream_once_a_page_and_kept_once_and_only_where_a_token_is_too_short_for_it(
    gateway: Any, volumes: list[str]
) -> None:
    for page in _pages(gateway, 500):
        assert page
        assert gateway.upstream.count("listVolumes") == -(-ROWS // 500)
    for _ in range(3):
        assert next(_pages(gateway, 500))
    assert next(_pages(gateway, 1, filter="name = d-00*"))
    with gateway.app.app_context():
        assert db.session.query(PageSnapshot).count() == 1


def test_in_a_short_list_too_what_gets_another_name_between_two_pages_appears_once(gateway: Any) -> None:
    offering = gateway.cloudstack("listDiskOfferings")[0]["id"]
    made = [
        gateway.cloudstack("createVolume", name=name, zoneid=gateway.zone_id, diskofferingid=offering)["id"]
        for name in ("same", "b", "same", "z")
    ]
    gateway.simulator.settle()
    pages = _pages(gateway, 2)
    seen = next(pages)
    assert [name for _, name in seen][1].startswith("same")
    first, later = made[0], made[2]
    # The volume that has the plain name goes, and the other one takes the name.
    gateway.cloudstack("deleteVolume", id=first)
    gateway.simulator.settle()
    for page in pages:
        seen += page
    times = Counter(identity for identity, _ in seen)
    assert [times[str(numeric_id(volume))] for volume in (made[1], later, made[3])] == [1, 1, 1]
    with gateway.app.app_context():
        assert db.session.query(PageSnapshot).count() == 0


def test_what_was_kept_is_gone_when_its_time_is_over_and_swept_by_the_next(gateway: Any) -> None:
    with gateway.app.app_context():
        shelf = PageSnapshots()
        assert shelf.read(str(shelf.keep("ann", b"old", -1))) is None
        assert shelf.read(str(shelf.keep("ann", b"new", paging.SNAPSHOT_LIFE))) == b"new"
        assert db.session.query(PageSnapshot).count() == 1


def test_a_client_keeps_no_more_than_its_share_and_loses_what_it_kept_first(gateway: Any) -> None:
    with gateway.app.app_context():
        shelf = PageSnapshots()
        other = str(shelf.keep("bob", b"0", 60))
        kept = [str(shelf.keep("ann", str(number).encode(), 60 + number)) for number in range(EACH + 3)]
        assert [shelf.read(name) is not None for name in kept] == [False] * 3 + [True] * EACH
        assert shelf.read(other) == b"0"
        assert shelf.keep("ann", b"5", 60) == kept[5]
