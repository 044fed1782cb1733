"""Names, numbers, times and the identity of requests."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gstack.errors import GceError
from gstack.operations.identity import (
    Place,
    operation_name,
    operation_number,
    place,
    request_hash,
    request_key,
    request_uuid,
    stamp,
)

PARTS = st.text(st.characters(codec="ascii", exclude_characters="/", categories=["L", "N"]), min_size=1)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(PARTS, PARTS, PARTS, PARTS)
def test_a_link_is_taken_apart(project: str, zone: str, collection: str, name: str) -> None:
    link = f"projects/{project}/zones/{zone}/{collection}/{name}"
    assert place(link) == Place(project, f"zones/{zone}", collection, name)


@pytest.mark.parametrize("link", ["", "zones/z", "https://x/projects/p", "projects/p/zones/z/instances"])
def test_what_is_no_link_to_a_resource_is_a_defect(link: str) -> None:
    with pytest.raises(ValueError, match="no link"):
        place(link)


@given(st.integers(0, 4_000_000_000_000))
def test_a_time_reads_back_to_the_millisecond(ms: int) -> None:
    text = stamp(ms)
    assert text is not None
    assert round(datetime.fromisoformat(text).timestamp() * 1000) == ms


def test_no_time_is_no_text() -> None:
    assert stamp(None) is None


def test_names_and_numbers_differ() -> None:
    assert len({operation_name(1) for _ in range(1000)}) == 1000
    numbers = {operation_number() for _ in range(1000)}
    assert len(numbers) == 1000 and all(0 < number < 2**63 for number in numbers)


@given(st.uuids().filter(lambda value: value.int))
def test_a_request_id_counts_the_same_in_capitals(value: uuid.UUID) -> None:
    assert request_uuid(str(value).upper()) == str(value)
    assert request_key("p", "u", str(value)) == request_key("p", "u", str(value).upper())


@given(st.text())
def test_any_other_request_id_is_refused(value: str) -> None:
    with pytest.raises(GceError):
        request_uuid(value)


@given(st.dictionaries(st.text(), JSON), st.dictionaries(st.text(), JSON))
def test_two_requests_are_the_same_exactly_when_their_bodies_are(one: dict[str, Any], other: dict[str, Any]) -> None:
    same = request_hash("m", {}, one) == request_hash("m", {}, other)
    assert same == (repr_of(one) == repr_of(other))


def repr_of(value: Any) -> Any:
    """A form in which True and 1 differ and the order of members does not count."""
    if isinstance(value, dict):
        return {key: repr_of(item) for key, item in value.items()}
    return [repr_of(item) for item in value] if isinstance(value, list) else (type(value), value)


def test_how_an_answer_is_to_look_does_not_make_another_request() -> None:
    assert request_hash("m", {"zone": "z", "alt": "json"}, {}) == request_hash("m", {"zone": "z"}, {})
    assert request_hash("m", {"zone": "z"}, {}) != request_hash("m", {"zone": "y"}, {})
    assert request_hash("m", {}, {}) != request_hash("n", {}, {})
