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
