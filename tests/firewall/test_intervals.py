"""Sets of numbers, held against sets of Python's."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gstack.firewall.intervals import ADDRESSES, V6, Numbers, addresses, block, cidrs

ENDS = st.tuples(st.integers(0, 40), st.integers(0, 12)).map(lambda pair: (pair[0], pair[0] + pair[1]))
INTERVALS = st.lists(ENDS, max_size=6)


def _plain(intervals: list[tuple[int, int]]) -> set[int]:
    return {number for low, high in intervals for number in range(low, high + 1)}


@given(INTERVALS, INTERVALS)
def test_operations_are_those_of_sets(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> None:
    left, right = Numbers.of(one), Numbers.of(other)
    for found, expected in (
        (left | right, _plain(one) | _plain(other)),
        (left & right, _plain(one) & _plain(other)),
        (left - right, _plain(one) - _plain(other)),
    ):
        assert _plain(list(found)) == expected
        assert found == Numbers.of(found.intervals)
        assert {number for number in range(60) if number in found} == expected


@given(INTERVALS, ENDS)
def test_covers_means_every_number(intervals: list[tuple[int, int]], interval: tuple[int, int]) -> None:
    assert Numbers.of(intervals).covers(interval) == (_plain([interval]) <= _plain(intervals))


@given(st.lists(st.tuples(st.sampled_from([0, V6]), ENDS), max_size=5))
def test_cidrs_give_back_exactly_the_addresses(parts: list[tuple[int, tuple[int, int]]]) -> None:
    numbers = Numbers.of((base + low, base + high) for base, (low, high) in parts)
    assert Numbers.of(map(block, cidrs(numbers))) == numbers


def test_the_whole_line_is_both_families() -> None:
    assert cidrs(ADDRESSES) == [ip_network("0.0.0.0/0"), ip_network("::/0")]


def test_a_network_without_one_address_is_one_cidr_for_each_bit() -> None:
    left = addresses(["10.0.0.0/24"]) - addresses(["10.0.0.77"])
    assert len(cidrs(left)) == 8


@pytest.mark.parametrize("text", ["", "10.0.0.0/33", "ten", "10.0.0.256"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        addresses([text])
