"""Names: valid, unique, and the same whatever order CloudStack lists in."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gstack.protocol.ids import numeric_id
from gstack.translate.names import akin, called, gce_names, is_label, keyword, label, named

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.uuids().map(str),
            "name": st.sampled_from(["web", "Web", "WEB 1", "web-1", "", "1", "é", "x" * 70]) | st.text(max_size=70),
            "created": st.sampled_from(["2026-11-21T08:29:58+0000", "2026-11-21T08:29:59+0000", ""]),
        }
    ),
    max_size=8,
    unique_by=lambda row: row["id"],
)
OLD, NEW = "2026-01-01T00:00:00+0000", "2026-02-01T00:00:00+0000"


def test_a_valid_name_stays():
    assert label("web-1") == "web-1"
    assert label("a--b") == "a--b"


def test_other_names_become_lower_case_with_hyphens():
    assert label("CentOS 5.6 (64-bit) no GUI (Simulator)") == "centos-5-6-64-bit-no-gui-simulator"
    assert label("Small_Instance ") == "small-instance"


def test_a_name_that_begins_wrongly_gets_a_letter():
    assert label("2 cpus") == "x-2-cpus"
    assert label("") == "x"
    assert label("éé") == "x"


def test_a_long_name_is_cut_where_it_stays_valid():
    assert label("A" * 62 + " b") == "a" * 62


@given(st.text(max_size=80))
def test_every_text_has_a_valid_name(text):
    assert is_label(label(text))
    assert label(label(text)) == label(text)


def test_on_a_clash_the_older_keeps_the_name_and_the_newer_gets_a_suffix_of_its_id():
    rows = [
        {"id": "89abcdef-0000-4000-8000-000000000000", "name": "web", "created": NEW},
        {"id": "01234567-0000-4000-8000-000000000000", "name": "Web", "created": OLD},
    ]
    assert gce_names(rows) == {rows[1]["id"]: "web", rows[0]["id"]: "web-89abcdef"}


def test_a_suffix_that_is_taken_grows():
    rows = [
        {"id": "a", "name": "web", "created": OLD},
        {"id": "b", "name": "web-01234567", "created": OLD},
        {"id": "01234567-89ab-4000-8000-000000000000", "name": "web", "created": NEW},
    ]
    assert gce_names(rows)[rows[2]["id"]] == "web-012345678"


def test_ids_that_are_no_uuids_are_told_apart_as_well():
    rows = [{"id": str(number), "name": "web"} for number in range(12)]
    assert len(set(gce_names(rows).values())) == 12


def test_getters_may_be_functions():
    assert gce_names([("1", "A b")], name=lambda row: row[1], id=lambda row: row[0], created=lambda _: "") == {
        "1": "a-b"
    }


def test_the_look_up_leads_back_to_the_first_row_of_an_object():
    first, second = {"id": "1", "name": "T", "zoneid": "a"}, {"id": "1", "name": "T", "zoneid": "b"}
    assert named([first, second]) == {"t": first}


@given(ROWS)
def test_all_names_are_valid_and_differ(rows):
    names = gce_names(rows)
    assert names.keys() == {row["id"] for row in rows}
    assert all(map(is_label, names.values()))
    assert len(set(names.values())) == len(names)


@given(ROWS, st.randoms())
def test_names_do_not_depend_on_the_order_of_the_listing(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert gce_names(shuffled) == gce_names(rows)


@given(ROWS, st.text(max_size=20))
def test_a_newer_object_never_changes_the_name_of_an_older_one(rows, name):
    before = gce_names(rows)
    newer = {
        "id": "ffffffff-ffff-4fff-bfff-ffffffffffff",
        "name": name,
        "created": "2027-01-01T00:00:00+0000",
    }
    after = gce_names([newer, *rows])
    assert before.items() <= after.items()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web", "web"),
        ("my-web-1", "my%web%1"),
        ("web-0a1b2c3d", "web"),
        ("web-0a1b2c3d-0a1b2c3d", "web"),
        ("x-1web", "1web"),
        ("x-12345678", None),
        ("deadbeef", None),
        ("x", None),
        ("", None),
    ],
)
def test_a_keyword_finds_what_may_have_a_name(text, expected):
    assert keyword(text) == expected


@given(ROWS)
def test_the_objects_that_a_keyword_finds_have_the_names_that_they_have_among_all(rows):
    for identity, name in gce_names(rows).items():
        like = (keyword(name) or "").split("%")
        found = [row for row in rows if re.search(".*".join(map(re.escape, like)), row["name"], re.I | re.S)]
        assert gce_names(found)[identity] == name


@given(ROWS)
def test_every_row_is_found_by_its_name_and_by_its_number(rows):
    for row, name in [(row, gce_names(rows)[row["id"]]) for row in rows]:
        assert called(rows, gce_names, name) == called(rows, gce_names, str(numeric_id(row["id"]))) == (name, row)
    assert called(rows, gce_names, "No-Name") is None


@given(ROWS)
def test_whoever_is_called_otherwise_once_another_is_gone_was_akin_to_it(rows):
    before = gce_names(rows)
    for gone in rows:
        after = gce_names([row for row in rows if row is not gone])
        for key, name in after.items():
            assert name == before[key] or (akin(name, before[gone["id"]]) and akin(before[key], before[gone["id"]]))


def test_names_that_cannot_clash_are_not_akin():
    assert akin("web", "web-0123abcd")
    assert not akin("web", "web-1")
    assert not akin("web-1", "web-2")
