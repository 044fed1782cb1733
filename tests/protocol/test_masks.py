"""``fields``: what is kept, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gstack.errors import GceError
from gstack.protocol import masks
from gstack.protocol.discovery import document

ANSWER: dict[str, Any] = {
    "kind": "compute#instanceList",
    "items": [
        {"id": "1", "name": "a", "disks": [{"boot": True, "source": "s"}], "labels": {"k": "v"}},
        {"id": "2", "name": "b", "tags": {"items": ["x"], "fingerprint": "f"}},
    ],
    "nextPageToken": "t",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ANSWER),
        ("*", ANSWER),
        ("items(id,name),nextPageToken", {
            "items": [{"id": "1", "name": "a"}, {"id": "2", "name": "b"}], "nextPageToken": "t",
        }),
        ("items(name,status),nextPageToken", {"items": [{"name": "a"}, {"name": "b"}], "nextPageToken": "t"}),
        ("items/id", {"items": [{"id": "1"}, {"id": "2"}]}),
        ("items/id,items/name", {"items": [{"id": "1", "name": "a"}, {"id": "2", "name": "b"}]}),
        ("items/disks(boot),items/disks/source", {"items": [{"disks": ANSWER["items"][0]["disks"]}, {}]}),
        ("items/tags/items", {"items": [{}, {"tags": {"items": ["x"]}}]}),
        ("items/labels", {"items": [{"labels": {"k": "v"}}, {}]}),
        ("items,items/id", {"items": ANSWER["items"]}),
        ("*/id", {"kind": "compute#instanceList", "items": [{"id": "1"}, {"id": "2"}], "nextPageToken": "t"}),
        ("warning", {}),
    ],
)  # fmt: skip
def test_a_mask_keeps_what_it_names(text: str, expected: dict[str, Any]) -> None:
    assert masks.apply(text, ANSWER) == expected


def test_a_wildcard_reaches_every_scope_of_an_aggregated_list() -> None:
    answer = {"items": {"zones/a": {"instances": [{"name": "x", "id": "1"}]}, "zones/b": {"warning": {}}}}
    kept = masks.apply("items/*/instances/name", answer)
    assert kept == {"items": {"zones/a": {"instances": [{"name": "x"}]}, "zones/b": {}}}


def test_a_wildcard_adds_to_a_name_beside_it() -> None:
    answer = {"a": {"x": 1, "y": 2, "z": 3}, "b": {"x": 1, "y": 2}}
    assert masks.apply("*/x,a/y", answer) == {"a": {"x": 1, "y": 2}, "b": {"x": 1}}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("items(", "At character 7: the text ends, where a field name could stand"),
        ("items(id", "At character 9: the text ends, where ')'"),
        ("items)", "At character 6: ')' is unexpected"),
        ("a,,b", "At character 3: ',' is unexpected, where a field name could stand"),
        ("a//b", "At character 3: '/' is unexpected"),
        ("a(b)/c", "At character 5: '/' is unexpected"),
        ("a b", "At character 3: 'b' is unexpected"),
        ("a()", "At character 3: ')' is unexpected"),
        ("a/" * 41 + "b", "A field selection may be 40 levels deep"),
        ("a(" * 41 + "b" + ")" * 41, "A field selection may be 40 levels deep"),
        ("a" * 4097, "A field selection may have 4096 characters"),
    ],
)
def test_a_mask_that_cannot_be_read_is_a_400_that_names_the_place(text: str, says: str) -> None:
    with pytest.raises(GceError) as caught:
        masks.apply(text, ANSWER)
    assert (caught.value.http, caught.value.problems[0].location) == (400, "fields")
    assert says in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        "*",
        "items/*",
        "items(id,labels/anything),nextPageToken",
        "items/networkInterfaces/accessConfigs/natIP",
    ],
)
def test_fields_of_the_schema_pass_the_check(text: str) -> None:
    masks.check(text, "InstanceList", document().schemas)


@pytest.mark.parametrize("text", ["item", "items/nam", "items(id,disks/foo)", "items/name/x", "*/foo"])
def test_fields_that_the_schema_does_not_have_are_refused_by_name(text: str) -> None:
    with pytest.raises(GceError, match="Invalid field selection"):
        masks.check(text, "InstanceList", document().schemas)


names = st.sampled_from("abcd")
values = st.recursive(
    st.integers(),
    lambda below: st.lists(below, max_size=2) | st.dictionaries(names, below, max_size=3),
    max_leaves=12,
)
resources = st.dictionaries(names, values, max_size=4)
paths = st.lists(names, min_size=1, max_size=3)


def branches(value: Any, path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """The paths of everything in ``value``, lists left out of the path."""
    if isinstance(value, list):
        return set().union(*[branches(item, path) for item in value])
    if isinstance(value, dict):
        found = {(*path, name) for name in value}
        return found.union(*[branches(member, (*path, name)) for name, member in value.items()])
    return set()


@given(resources, st.lists(paths, min_size=1, max_size=4))
@settings(deadline=None)
def test_what_is_kept_is_what_some_path_of_the_mask_reaches(value: Any, wanted: list[list[str]]) -> None:
    kept = masks.apply(",".join("/".join(path) for path in wanted), value)
    expected = {
        branch
        for branch in branches(value)
        if any(tuple(path[: len(branch)]) == branch or branch[: len(path)] == tuple(path) for path in wanted)
    }
    assert branches(kept) == expected


@given(resources, st.lists(paths, min_size=1, max_size=4))
@settings(deadline=None)
def test_a_mask_applied_twice_is_the_mask_applied_once(value: Any, wanted: list[list[str]]) -> None:
    text = ",".join("/".join(path) for path in wanted)
    once = masks.apply(text, value)
    assert masks.apply(text, once) == once


@given(st.text("ab,/()* ", max_size=20), resources)
@settings(deadline=None)
def test_any_text_at_all_is_a_mask_or_a_400(text: str, value: Any) -> None:
    try:
        assert branches(masks.apply(text, value)) <= branches(value)
    except GceError as error:
        assert error.http == 400


@pytest.mark.parametrize(
    ("text", "path", "kept"),
    [
        ("", ("items", "disks"), True),
        ("items", ("items", "disks"), True),
        ("*", ("items", "disks"), True),
        ("items/disks/source", ("items", "disks"), True),
        ("items(name,status)", ("items", "disks"), False),
        ("kind,nextPageToken", ("items", "disks"), False),
        ("items/*/instances/name", ("items", "*", "instances", "disks"), False),
        ("items/*/instances(name,disks)", ("items", "*", "instances", "disks"), True),
        ("items/*/*/disks", ("items", "*", "instances", "disks"), True),
        ("items/warning", ("items", "*", "instances", "disks"), True),
    ],
)
def test_whether_a_mask_keeps_something_is_known_before_there_is_anything(
    text: str, path: tuple[str, ...], kept: bool
) -> None:
    assert masks.keeps(masks.compile_mask(text), path) is kept
