"""Any JSON as marks of a CloudStack object."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gstack.firewall.marks import highest, pack, present, unpack
from gstack.translate.tags import LONGEST, plan_own

CONTENT = st.dictionaries(st.text(max_size=20), st.one_of(st.text(max_size=700), st.lists(st.integers(), max_size=90)))


def _tags(*marks: dict[str, str]) -> list[dict[str, str]]:
    return [tag for each in marks for tag in plan_own((), each).create]


@given(CONTENT)
def test_what_is_packed_comes_back_and_fits(content: dict[str, Any]) -> None:
    rows = _tags(pack("firewall", 3, content))
    assert unpack("firewall", rows) == (3, content)
    assert all(0 < len(row["value"]) <= LONGEST and row["value"].isascii() for row in rows)


def test_spaces_and_equal_signs_at_the_ends_of_pieces_come_back() -> None:
    content = {"description": " =" * 800}
    assert unpack("firewall", _tags(pack("firewall", 1, content))) == (1, content)


def test_the_highest_whole_content_counts() -> None:
    old, new = pack("firewall", 1, {"a": "x" * 300}), pack("firewall", 2, {"a": "y" * 300})
    assert unpack("firewall", _tags(old, new))[0] == 2
    half = dict(list(new.items())[:1])
    assert unpack("firewall", _tags(old, half)) == (1, {"a": "x" * 300})
    assert highest("firewall", _tags(old, half)) == 2


def test_other_marks_are_not_read() -> None:
    rows = _tags(pack("guards", 1, {}), {"firewall": "1", "firewall.x.0.1": "{}"})
    assert unpack("firewall", rows) == (0, None)
    assert present("firewall", rows) == {}


def test_what_somebody_spoilt_is_nothing() -> None:
    assert unpack("firewall", _tags({"firewall.1.0.1": "{not json"})) == (0, None)
