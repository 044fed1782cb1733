"""Firewalls where many machines are: what a change costs in CloudStack calls, and that it survives ``kill -9``.

The figures of the documentation are those of the same program with a thousand (``python -m bench.firewalls``).
"""

from __future__ import annotations

import pytest

from bench.firewalls import measure

MACHINES = 48


@pytest.mark.long
def test_changes_cost_what_they_change_and_one_that_is_killed_ends_as_it_would_have() -> None:
    costs, same = measure(MACHINES)
    everybody, tagged, changed, half, deleted, killed = costs
    assert same
    # One group speaks for all: what a change to it costs does not grow with the machines.
    assert everybody.written <= 5
    assert tagged.written <= MACHINES / 10 + 3
    assert changed.written <= 7
    # One rule in each of their own groups, and the firewall itself.
    assert half.written <= MACHINES / 2 + 4
    assert deleted.written <= MACHINES / 2 + 2
    assert all(cost.asked - cost.written <= 12 for cost in costs)
    assert killed.written <= half.written + 8  # at the most those under way are sent twice
    assert [bool(cost.progress[1:-1]) for cost in (half, deleted, killed)] == [True] * 3
