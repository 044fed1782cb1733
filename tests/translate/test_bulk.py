"""Names and zones of many instances at once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gstack.errors import GceError
from gstack.translate import bulk
from gstack.translate.places import Place

ZONES = [Place(f"eu-x-{letter}", f"eu-x-{letter}", {"id": letter, "name": letter}) for letter in "abc"]


def spread(wanted: int, **policy: Any) -> dict[str, int]:
    return {place.name[-1]: number for place, number in bulk.spread({"locationPolicy": policy}, wanted, ZONES)}


def test_numbers_go_on_after_the_largest_that_is_there() -> None:
    assert bulk.numbered("web-##", 2, {"web-07", "web-3", "db-09", "web-07-x"}) == ["web-08", "web-09"]


@given(st.integers(1, 5), st.integers(1, 40), st.sets(st.integers(0, 99)))
def test_new_names_are_as_many_as_wanted_and_none_is_taken(digits: int, wanted: int, there: set[int]) -> None:
    taken = {f"a{number:0{digits}}b" for number in there if number < 10**digits}
    try:
        names = bulk.numbered(f"a{'#' * digits}b", wanted, taken)
    except GceError:
        assert max(there & set(range(10**digits)), default=0) + wanted >= 10**digits
        return
    assert len(set(names)) == wanted and taken.isdisjoint(names)
    assert all(len(name) == digits + 2 for name in names)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"namePattern": "web"}, "one run of #"),
        ({"namePattern": "#-web-#"}, "one run of #"),
        ({"namePattern": "Web-#"}, "match of regex"),
        ({"namePattern": "web-#", "perInstanceProperties": {"a": {}}}, "excludes"),
        ({}, "is required"),
        ({"perInstanceProperties": {"a": {}, "b": {"name": "a"}}}, "one name"),
    ],
)
def test_names_that_cannot_be_given_are_refused(body: dict[str, Any], words: str) -> None:
    with pytest.raises(GceError, match=words):
        bulk.names(body, 2, set())


def test_a_zone_is_filled_before_the_next_unless_balance_is_wanted() -> None:
    two_there = {"zones/eu-x-a": {"constraints": {"maxCount": 2}}}
    assert spread(5) == {"a": 5}
    assert spread(5, locations=two_there) == {"a": 2, "b": 3}
    assert spread(5, targetShape="BALANCED") == {"a": 2, "b": 2, "c": 1}
    assert spread(5, targetShape="ANY_SINGLE_ZONE", locations=two_there) == {"b": 5}
    assert spread(2, locations={"zones/eu-x-a": {"preference": "DENY"}}) == {"b": 2}
    assert spread(2, zones=[{"zone": "projects/p/zones/eu-x-c"}]) == {"c": 2}


@pytest.mark.parametrize(
    "policy",
    [
        {"locations": {f"zones/eu-x-{one}": {"preference": "DENY"} for one in "abc"}},
        {
            "targetShape": "ANY_SINGLE_ZONE",
            "locations": {f"zones/eu-x-{one}": {"constraints": {"maxCount": 1}} for one in "abc"},
        },
        {"locations": {"zones/elsewhere-a": {"preference": "ALLOW"}}},
    ],
)
def test_a_policy_that_leaves_no_room_is_refused(policy: dict[str, Any]) -> None:
    with pytest.raises(GceError, match="locationPolicy"):
        spread(2, **policy)
