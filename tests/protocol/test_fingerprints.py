"""Fingerprints and numeric ids."""

from __future__ import annotations

import base64
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gstack.protocol.fingerprints import fingerprint, matches
from gstack.protocol.ids import numeric_id

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_a_fingerprint_survives_gclouds_decoding_and_encoding(value: Any) -> None:
    text = fingerprint(value)
    assert base64.urlsafe_b64encode(base64.urlsafe_b64decode(text)).decode() == text
    assert len(text) == 12


@given(st.dictionaries(st.text(max_size=3), JSON, min_size=2, max_size=4))
def test_the_order_of_members_is_no_content(value: dict[str, Any]) -> None:
    assert fingerprint(dict(reversed(value.items()))) == fingerprint(value)


@pytest.mark.parametrize("other", [{"a": "2"}, {"a": 1}, {"b": "1"}, {}, None, {"a": "1", "b": None}])
def test_other_content_has_another_fingerprint(other: Any) -> None:
    assert fingerprint(other) != fingerprint({"a": "1"})


def test_a_fingerprint_is_recognised_in_either_alphabet() -> None:
    value = next(n for n in range(1000) if {"-", "_"} <= set(fingerprint(n)))
    text = fingerprint(value)
    assert matches(text.replace("-", "+").replace("_", "/").rstrip("="), value)
    assert matches(text, value)
    assert not matches(text, value + 1)
    assert not matches("", value)


@given(st.uuids())
def test_an_id_is_a_positive_63_bit_number(value: uuid.UUID) -> None:
    assert 1 <= numeric_id(str(value)) < 2**63


def test_ids_never_change() -> None:
    assert numeric_id("c7e0b3a2-3a1b-4a5c-9d0e-000000000001") == 8552206201495489185
    assert numeric_id("default") == 7271770298570321111


def test_an_id_does_not_depend_on_the_spelling_of_the_uuid() -> None:
    value = uuid.UUID("c7e0b3a2-3a1b-4a5c-9d0e-000000000001")
    assert numeric_id(str(value).upper()) == numeric_id(value.hex) == numeric_id(str(value))


def test_other_texts_have_other_ids() -> None:
    assert len({numeric_id(text) for text in ("", "a", "A", "a ", "default", "1")}) == 6
