"""Holds the simulator against the recordings of a real CloudStack, line by line.

A line counts when status, error, envelope, field names, JSON types and values are as recorded.
What differs for a known reason is listed in excuses.py; an entry that no longer differs has to go.
"""

from __future__ import annotations

import pytest
from excuses import KNOWN
from replay import Replay

SENT_ELSEWHERE = {"auth_transport", "restart_throttle_post"}


@pytest.mark.parametrize("area", sorted(KNOWN.keys() - SENT_ELSEWHERE))
def test_simulator_answers_as_recorded(area: str) -> None:
    """Every recorded line of the area is answered as recorded, but for the listed ones."""
    report = Replay(area).run(KNOWN[area])
    print(f"{area}: {report.replayed} of {report.total} lines replayed, {len(KNOWN[area])} known to differ")
    for reason, count in report.skipped.most_common():
        print(f"  not replayed: {count} {reason}")
    assert not report.differing, "\n".join(f"{line}: {what}" for line, what in report.differing.items())
    assert not report.needless, f"listed but no longer different: {report.needless}"
    assert not [reason for reason in report.skipped if reason.startswith("not implemented")]


OLD, NEW = "11111111-0000-4000-8000-000000000001", "22222222-0000-4000-8000-000000000002"
ROW = {"id": OLD, "name": "n", "size": 1, "created": "2026-11-21T09:13:44+0000", "details": {"k": "v"}, "tags": []}


@pytest.mark.parametrize(
    "change",
    [
        {"size": 2},
        {"size": "1"},
        {"name": "m"},
        {"details": {}},
        {"tags": [{}]},
        {"more": 1},
        {"created": 1},
        {"created": "2027-01-02"},
    ],
    ids=str,
)
def test_another_value_type_length_or_field_is_a_difference(change: dict) -> None:
    replay = Replay("ssh_keys")
    assert replay.compare({"w": {"row": [ROW]}}, {"w": {"row": [{**ROW, **change}]}}, "") is not None


def test_an_id_that_was_learned_a_moment_and_what_is_measured_are_none() -> None:
    replay = Replay("ssh_keys")
    fresh = {**ROW, "id": NEW, "created": "2027-01-02T10:11:12+0000", "cpuused": "1%"}
    assert replay.compare({"w": {"row": [ROW]}}, {"w": {"row": [fresh]}}, "") is not None
    replay.ids[OLD] = NEW
    assert replay.compare({"w": {"row": [ROW]}}, {"w": {"row": [fresh]}}, "") is None


def test_another_order_of_rows_is_a_difference_and_so_is_a_row_in_the_place_of_two() -> None:
    replay, rows = Replay("ssh_keys"), [{"name": "a", "size": 1}, {"name": "b", "size": 2}]
    assert replay.compare({"w": {"row": rows}}, {"w": {"row": rows}}, "") is None
    assert replay.compare({"w": {"row": rows}}, {"w": {"row": rows[::-1]}}, "") is not None
    twice, once = [rows[0], rows[0]], [rows[0], {"name": "a", "size": 3}]
    assert replay.compare({"w": {"row": twice}}, {"w": {"row": once}}, "") is not None


def test_a_race_is_equal_only_with_as_many_answers_of_each_kind_as_recorded() -> None:
    replay = Replay("edge_races")
    numbers = replay.race_of(7)
    assert len(numbers) == 6
    outcomes = replay.race(numbers)
    assert not any(outcomes.values())
    assert any(Replay("edge_races").race(numbers[:2]).values())
