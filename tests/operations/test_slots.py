"""Places for operations, shared by all projects."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gstack.operations.slots import Slots

NOW = 0.0


@pytest.mark.parametrize(("places", "most"), [(1, 1), (2, 2), (3, 3), (4, 3), (16, 12), (100, 75)])
def test_one_owner_leaves_a_quarter_of_the_places_to_others(places: int, most: int) -> None:
    slots = Slots(places)
    assert [slots.take("busy", NOW) for _ in range(places)] == [True] * most + [False] * (places - most)
    assert [slots.take("other", NOW) for _ in range(places - most + 1)] == [True] * (places - most) + [False]


def test_a_place_that_is_given_back_goes_to_whoever_waits() -> None:
    slots = Slots(1)
    assert slots.take("a", NOW)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(slots.take, "b", 30)
        slots.give("a")
        assert waiting.result(30)
    assert not slots.take("a", NOW)


@given(st.integers(1, 20), st.lists(st.tuples(st.booleans(), st.sampled_from("abc")), max_size=80))
def test_never_more_places_are_held_than_there_are(places: int, steps: list[tuple[bool, str]]) -> None:
    slots, held = Slots(places), dict.fromkeys("abc", 0)
    for take, owner in steps:
        if take:
            got = slots.take(owner, NOW)
            assert got == (sum(held.values()) < places and held[owner] < places - places // 4)
            held[owner] += got
        elif held[owner]:
            slots.give(owner)
            held[owner] -= 1
    assert sum(held.values()) <= places
