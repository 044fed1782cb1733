"""Labels, network tags and gstack's marks in CloudStack's tags."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gstack.errors import GceError
from gstack.translate import tags
from gstack.translate.tags import Changes

TEXT = st.text(max_size=30)
KEYS = st.from_regex(r"[a-z][a-z0-9_-]{0,5}", fullmatch=True)
LABELS = st.dictionaries(KEYS, st.from_regex(r"[a-z0-9_-]{0,5}", fullmatch=True), max_size=5)


def rows(**values):
    return [{"key": key, "value": value, "resourcetype": "UserVm"} for key, value in values.items()]


def applied(current, changes):
    """The tags after CloudStack did what was planned; it has no upsert and compares keys without case."""
    kept = {tag["key"]: tag["value"] for tag in current}
    for tag in changes.delete:
        del kept[tag["key"]]
    for tag in changes.create:
        assert tags.same_key(tag["key"]) not in {tags.same_key(key) for key in kept}
        assert tag["value"]
        kept[tag["key"]] = tag["value"]
    return [{"key": key, "value": value} for key, value in kept.items()]


@given(TEXT)
def test_any_text_comes_back_from_what_cloudstack_can_keep(text):
    encoded = tags.encode(text)
    assert tags.decode(encoded) == text
    assert encoded
    assert all(one <= "\uffff" and one >= " " for one in encoded)


def test_ordinary_text_is_kept_as_it_is():
    assert tags.encode("a b: {c} ü✓") == "a b: {c} ü✓"


def test_nothing_emoji_newlines_and_trailing_spaces_are_encoded():
    assert [tags.encode(text) for text in ("", "😀", "a\nb", "a ")] == ["=", "=1f600;", "a=a;b", "a=20;"]


def test_what_only_looks_encoded_comes_back_as_it_is():
    assert tags.decode("=d800; =ffffff; a=b") == "=d800; =ffffff; a=b"


def test_labels_are_the_tags_that_gce_would_accept():
    current = rows(env="prod", empty="=", Owner="Bob", team="Has Space", ключ="да", **{"a.b": "c", "1a": "x"})
    assert tags.labels(current) == {"empty": "", "env": "prod", "ключ": "да"}


def test_network_tags_and_marks_are_no_labels():
    current = [
        {"key": "gstack-tag:web", "value": "true"},
        {"key": "gstack:machine-type", "value": "e2-medium"},
    ]
    assert tags.labels(current) == {}
    assert tags.network_tags(current) == ["web"]
    assert tags.own_values(current) == {"machine-type": "e2-medium"}


def test_only_what_differs_is_changed():
    changes = tags.plan_labels(rows(a="1", b="2", c="3"), {"a": "1", "b": "4", "d": ""})
    assert changes == Changes(
        delete=[{"key": "b"}, {"key": "c"}], create=[{"key": "b", "value": "4"}, {"key": "d", "value": "="}]
    )
    assert not tags.plan_labels(rows(a="1"), {"a": "1"})


def test_other_kinds_and_foreign_tags_are_never_touched():
    current = rows(Owner="Bob", **{"gstack:x": "y", "gstack-tag:web": "true"})
    assert tags.plan_labels(current, {}) == Changes([], [])
    assert tags.plan_network_tags(current, ["db"]) == Changes(
        [{"key": "gstack-tag:web"}], [{"key": "gstack-tag:db", "value": "true"}]
    )


def test_marks_are_set_one_by_one():
    current = rows(**{"gstack:a": "1", "gstack:b": "2"})
    assert tags.plan_own(current, {"a": None, "c": "3"}) == Changes(
        [{"key": "gstack:a"}], [{"key": "gstack:c", "value": "3"}]
    )


@pytest.mark.parametrize("foreign", ["Env", "ENV", "env ", "énv"])
def test_a_label_that_cloudstack_cannot_tell_from_a_foreign_tag_is_a_conflict(foreign):
    with pytest.raises(GceError, match="cannot be told apart") as caught:
        tags.plan_labels(rows(**{foreign: "Prod!"}), {"env": "x"})
    assert caught.value.http == 409


def test_two_labels_that_cloudstack_cannot_tell_apart_are_a_conflict():
    with pytest.raises(GceError, match="cannot be told apart"):
        tags.plan_labels([], {"cafe": "1", "café": "2"})


def test_a_foreign_tag_under_a_labels_very_name_is_not_overwritten():
    with pytest.raises(GceError, match="cannot be told apart"):
        tags.plan_labels(rows(env="Not A Label"), {"env": "x"})


@pytest.mark.parametrize(
    ("labels", "location"),
    [
        ({"": "x"}, "labels"),
        ({"A": "x"}, "labels"),
        ({"1a": "x"}, "labels"),
        ({"a" * 64: "x"}, "labels"),
        ({"a": "B"}, "labels.a"),
        ({"a": "b" * 64}, "labels.a"),
        ({f"a{number}": "" for number in range(65)}, "labels"),
    ],
)
def test_what_gce_would_refuse_is_refused_by_name(labels, location):
    with pytest.raises(GceError) as caught:
        tags.plan_labels([], labels)
    assert (caught.value.kind, caught.value.problems[0].location) == ("invalid", location)


def test_what_cloudstack_would_cut_is_refused():
    with pytest.raises(GceError, match="255"):
        tags.plan_own([], {"note": "x" * 256})
    assert tags.plan_own([], {"note": "x" * 255})


def test_a_tag_with_a_null_key_is_passed_over():
    current = [{"value": "x"}, *rows(a="1")]
    assert tags.labels(current) == {"a": "1"}
    assert tags.plan_labels(current, {}) == Changes([{"key": "a"}], [])


def test_new_objects_are_tagged_in_one_call():
    assert tags.new_tags({"a": ""}, {"machine-type": "e2-medium"}) == [
        {"key": "a", "value": "="},
        {"key": "gstack:machine-type", "value": "e2-medium"},
    ]


@given(LABELS, LABELS)
def test_a_plan_carried_out_gives_what_was_wanted(before, after):
    current = tags.join(tags.plan_labels((), before), tags.plan_network_tags((), ["web"])).create
    changes = tags.plan_labels(current, after)
    result = applied(current, changes)
    assert tags.labels(result) == after
    assert tags.network_tags(result) == ["web"]
    assert not tags.plan_labels(result, after)
