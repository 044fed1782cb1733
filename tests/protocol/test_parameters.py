"""Query and path parameters."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from gstack.errors import GceError
from gstack.protocol.discovery import document
from gstack.protocol.parameters import ALIASES, STANDARD, check_parameters, standard

PATH = {"project": "p1", "zone": "z1-a"}


def _check(*query: tuple[str, str], method: str = "compute.instances.list", **path: str) -> dict[str, Any]:
    return check_parameters(document().methods[method], path or PATH, query)


def _refused(*query: tuple[str, str], **more: str) -> GceError:
    with pytest.raises(GceError) as caught:
        _check(*query, **more)
    assert caught.value.http == 400
    return caught.value


def test_parameters_come_typed_with_their_defaults() -> None:
    params = _check(("maxResults", "7"), ("filter", "name eq a"))
    assert params["maxResults"] == 7
    assert params["filter"] == "name eq a"
    assert params["project"] == "p1"
    assert _check()["maxResults"] == 500


@pytest.mark.parametrize(
    ("text", "value"),
    [("True", True), ("true", True), ("1", True), ("False", False), ("0", False), ("None", False)],
)
def test_booleans_come_in_every_spelling(text: str, value: bool) -> None:
    assert _check(("returnPartialSuccess", text))["returnPartialSuccess"] is value


def test_an_empty_value_is_absent() -> None:
    assert "filter" not in _check(("filter", ""))
    assert _check(("maxResults", ""))["maxResults"] == 500


@pytest.mark.parametrize("text", ["-1", "4294967296", "x", "1.5", "9" * 50])
def test_a_number_out_of_its_range_is_refused_by_name(text: str) -> None:
    assert _refused(("maxResults", text)).problems[0].location == "maxResults"


def test_a_path_parameter_against_its_pattern_gets_gces_sentence() -> None:
    assert _refused(project="p1", zone="z_1").message == (
        "Invalid value for field 'zone': 'z_1'. Must be a match of regex '[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?'"
    )


def test_an_unknown_query_parameter_gets_googles_sentence() -> None:
    assert _refused(("filtre", "x")).message == (
        'Invalid JSON payload received. Unknown name "filtre": Cannot bind query parameter. '
        "Field 'filtre' could not be found in request message."
    )


def test_a_path_parameter_cannot_be_overridden_by_the_query() -> None:
    assert _refused(("project", "p2")).problems[0].location == "project"


def test_several_problems_are_told_at_once() -> None:
    assert len(_refused(("maxResults", "x"), ("a", "b")).problems) == 2


@pytest.mark.parametrize("name", ["callback", "$callback"])
def test_a_callback_is_refused_rather_than_ignored(name: str) -> None:
    assert _refused((name, "f")).problems[0].location == name


@pytest.mark.parametrize(
    "name", sorted(STANDARD - ALIASES.keys() - {"alt", "callback", "$callback", "fields", "prettyPrint"})
)
def test_what_googles_front_end_takes_is_accepted_and_kept_out(name: str) -> None:
    assert name not in _check((name, "secret"))


def test_fields_and_pretty_print_are_passed_on() -> None:
    params = _check(("fields", "items(name)"), ("prettyPrint", "false"))
    assert (params["fields"], params["prettyPrint"]) == ("items(name)", False)


@pytest.mark.parametrize("name", ["fields", "$fields"])
def test_fields_may_have_a_dollar_sign_and_the_last_counts(name: str) -> None:
    query = MultiDict([("fields", "items(id)"), (name, "items(name)"), (name, "")])
    assert check_parameters(document().methods["compute.instances.list"], PATH, query)["fields"] == "items(name)"
    assert standard(query, "fields") == "items(name)"


@pytest.mark.parametrize("name", ["prettyPrint", "$prettyPrint", "pp"])
def test_pretty_print_has_three_names(name: str) -> None:
    assert _check((name, "false"))["prettyPrint"] is False
    assert standard([(name, "false")], "prettyPrint") == "false"
    assert standard({name: "0"}, "prettyPrint") == "0"


def test_what_a_query_does_not_say_is_nothing() -> None:
    assert standard([("filter", "x")], "fields") == standard({}, "prettyPrint") == ""


@pytest.mark.parametrize(
    "pair", [("alt", "json"), ("alt", "json;enum-encoding=int"), ("alt", ""), ("$alt", "json;enum-encoding=int")]
)
def test_json_may_be_asked_for(pair: tuple[str, str]) -> None:
    assert _check(pair)["alt"] == "json"


@pytest.mark.parametrize("pair", [("alt", "media"), ("alt", "proto"), ("$alt", "sse"), ("alt", "xml")])
def test_any_other_form_of_answer_is_refused(pair: tuple[str, str]) -> None:
    assert "Only json is supported." in _refused(pair).message


def test_a_required_query_parameter_is_named_when_it_is_missing() -> None:
    path = {"project": "p1", "zone": "z1-a", "instance": "vm"}
    error = _refused(method="compute.instances.detachDisk", **path)
    assert (error.kind, error.message) == ("required", "Required field 'deviceName' not specified")


def test_repeated_parameters_are_lists() -> None:
    path = {"project": "p1", "zone": "z1-a", "disk": "d"}
    pairs = (("paths", "accessMode"), ("paths", "labels"))
    assert _check(*pairs, method="compute.disks.update", **path)["paths"] == ["accessMode", "labels"]


def test_of_a_parameter_given_twice_the_last_wins() -> None:
    assert _check(("maxResults", "1"), ("maxResults", "2"))["maxResults"] == 2


def test_a_multidict_serves_as_query() -> None:
    query = MultiDict([("paths", "accessMode"), ("paths", "labels")])
    path = {"project": "p1", "zone": "z1-a", "disk": "d"}
    params = check_parameters(document().methods["compute.disks.update"], path, query)
    assert params["paths"] == ["accessMode", "labels"]


def test_no_method_names_a_parameter_of_its_own_like_a_standard_one() -> None:
    common = document().raw["parameters"].keys()
    clashes = {
        (method.id, name)
        for method in document().methods.values()
        for name in method.parameters.keys() & STANDARD - common
    }
    assert clashes == set()


@given(
    st.lists(
        st.tuples(st.sampled_from(["maxResults", "filter", "x", "alt", "key"]), st.text(max_size=8)),
        max_size=5,
    )
)
def test_whatever_comes_is_typed_or_refused(query: list[tuple[str, str]]) -> None:
    try:
        params = _check(*query)
    except GceError as error:
        assert all(problem.location for problem in error.problems)
    else:
        assert isinstance(params["maxResults"], int)
