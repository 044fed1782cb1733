"""The ``filter`` parameter: what parses, what it means, and what is refused with the place at fault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gstack.errors import GceError
from gstack.protocol.conditions import limited_work
from gstack.protocol.filters import compile_filter

RECORDED = json.loads((Path(__file__).parent.parent / "recordings" / "list_queries.json").read_text())
FIREWALL: dict[str, Any] = {
    "name": "allow-ssh",
    "network": "https://www.googleapis.com/compute/v1/projects/p/global/networks/default",
    "priority": 1000,
    "disabled": False,
    "direction": "INGRESS",
    "sourceRanges": ["10.0.0.0/8", "0.0.0.0/0"],
    "allowed": [{"IPProtocol": "tcp", "ports": ["22", "80-90"]}, {"IPProtocol": "icmp"}],
    "creationTimestamp": "2025-06-20T10:00:00.000-07:00",
    "id": "4444444444444444444",
    "labels": {"owner": "ann", "env.tier": "prod"},
}


def passes(text: str, **members: Any) -> bool:
    return compile_filter(text).matches(FIREWALL | members)


def refusal(text: str) -> str:
    with pytest.raises(GceError) as caught:
        compile_filter(text)
    assert (caught.value.http, caught.value.problems[0].location) == (400, "filter")
    return caught.value.message


@pytest.mark.parametrize("text", [entry["value"] for entry in RECORDED["filter"]] + ["lifecycleState:ACTIVE"])
def test_every_filter_that_real_clients_were_seen_to_send_is_understood(text: str) -> None:
    compiled = compile_filter(text)
    assert compile_filter(str(compiled)).condition == compiled.condition


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r'name eq ".*\bssh\b.*"', True),
        (r'name eq ".*\bss\b.*"', False),
        (r'name eq ".*(^allow).*"', True),
        (r'name eq ".*(^ssh).*"', False),
        (r'name eq ".*\ballow.*"', True),
        (r'name ne ".*\ballow\-ssh\b.*"', False),
        (r'network eq ".*\bdefault\b.*"', True),
        (r'sourceRanges eq ".*\b0\.0\.0\.0/0\b.*"', True),
        ("disabled eq false", True),
        ("disabled eq False", True),
        ("priority eq 1000", True),
        ("priority eq 100", False),
        (r'(name eq ".*\bssh\b.*")((priority eq 1000)(disabled eq true))', False),
        (r'(name eq ".*\bssh\b.*")((priority eq 1000)(disabled eq false))', True),
        ("creationTimestamp eq 2025-06-20T10:00:00.000-07:00", True),
        ("creationTimestamp eq 2025-06-20T17:00:00Z", True),
    ],
)
def test_gclouds_rewritten_filters_mean_what_its_user_typed(text: str, expected: bool) -> None:
    assert passes(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name eq allow-ssh", True),
        ("name eq 'allow-ssh'", True),
        ('name eq "allow"', False),
        ("name eq allow", False),
        ("name eq ^allow-ssh$", True),
        ("name eq (allow|deny)-(ssh|rdp)", True),
        ("name eq (allow|deny)-[a-z]{3}", True),
        ("name ne .*instance", True),
        ("sourceRanges eq 10.0.0.0/8", True),
        ("sourceRanges ne 10.0.0.0/8", False),
        ("allowed.IPProtocol eq icmp", True),
        ("description eq .*", False),
        ("description ne x", True),
        ('description eq ""', True),
        ("name eq deny OR name eq allow-ssh", True),
        ("NOT name eq allow-ssh", False),
    ],
)
def test_eq_and_ne_match_a_regular_expression_against_the_whole_value(text: str, expected: bool) -> None:
    assert passes(text) is expected


def test_an_unquoted_pattern_may_hold_spaces() -> None:
    assert passes("description eq unquoted literal", description="unquoted literal")
    assert passes("(description eq unquoted lit(e|o)ral) (name eq allow-ssh)", description="unquoted literal")


def test_quotes_may_be_escaped_inside_quotes() -> None:
    assert passes(r'description eq "say \"hi\""', description='say "hi"')
    assert passes(r'description = "say \"hi\" \\"', description='say "hi" \\')
    assert passes("""description eq 'say "hi"'""", description='say "hi"')


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name = allow-ssh", True),
        ("name=allow-ssh", True),
        ('name = "allow"', False),
        ("name != allow", True),
        ("name = allow-*", True),
        ("name != *-ssh", False),
        ("name = a.*", False),
        ("disabled = false", True),
        ("disabled != FALSE", False),
        ("priority = 1000", True),
        ("priority = 1000.0", True),
        ("priority > 999", True),
        ('priority > "99"', True),
        ("priority <= 999", False),
        ("id > 4444444444444444443", True),
        ("id > 4444444444444444444", False),
        ("creationTimestamp >= 2025-06-20T17:00:00Z", True),
        ("creationTimestamp > 2025-06-20T17:00:00Z", False),
        ("creationTimestamp < 2025-06-21", True),
        ("name > allow", True),
        ("disabled < true", False),
        ("labels.owner:*", True),
        ("labels.team:*", False),
        ("labels:owner", True),
        ("labels:team", False),
        ("labels.owner = ann", True),
        ("labels.owner != bob", True),
        ("labels.team != bob", True),
        ("labels.team = bob", False),
        ('labels."env.tier" = prod', True),
        ("name:ssh", True),
        ("name:rdp", False),
        ("sourceRanges:0.0.0.0/0", True),
        ("sourceRanges:0.0.0.0", False),
        ("allowed.ports:22", True),
        ("allowed.ports:80", False),
        ("allowed.IPProtocol = icmp", True),
        ("allowed:ports", True),
        ("priority:1000", True),
        ("network = https://www.googleapis.com/compute/v1/projects/p/global/networks/default", True),
        ('description = ""', True),
        ('name = ""', False),
        ("name.first = a", False),
    ],
)
def test_aip_160_comparisons_see_numbers_times_maps_and_lists(text: str, expected: bool) -> None:
    assert passes(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name = x OR priority = 1000", True),
        ("name = x priority = 1000", False),
        ("name = allow-ssh AND priority = 1000", True),
        ("(name = x) OR (name = allow-ssh) AND (priority = 1)", False),
        ("priority = 1 AND name = x OR name = allow-ssh", False),
        ("NOT name = x", True),
        ("-name = x", True),
        ("-(name = allow-ssh OR name = x)", False),
        ("NOT name = allow-ssh OR priority = 1000", True),
        ("(((name = allow-ssh)))", True),
        ("name = AND", False),
        ("NOTE != x", True),
    ],
)
def test_or_binds_tighter_than_and_and_neighbours_are_and(text: str, expected: bool) -> None:
    assert passes(text) is expected


@pytest.mark.parametrize("text", [None, "", "  "])
def test_a_blank_filter_lets_everything_pass_and_reads_nothing(text: str | None) -> None:
    compiled = compile_filter(text)
    assert compiled.matches({}) and not compiled.fields and str(compiled) == ""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name", "At character 5: the text ends, where"),
        ("name=", "At character 6: the text ends, where a quoted value or a value could stand"),
        ("name = a foo", "At character 13: the text ends"),
        ("name = a = b", "At character 10: '=' is unexpected, where"),
        ("name and x", "At character 6: 'and' is unexpected"),
        ("name eq", "At character 8: the text ends"),
        ('name = "a', "At character 8: '\"' is unexpected"),
        ("(name = a", "At character 10: the text ends, where ')' could stand"),
        ("name = a)", "At character 9: ')' is unexpected, where the end could stand"),
        ("()", "At character 2: ')' is unexpected"),
        ("disks[0].source = a", "At character 6: '[0].source' is unexpected"),
        ("name eq a status eq b", "At character 18: 'eq' is unexpected; parenthesise"),
        ("name eq a = b", "At character 11: '=' is unexpected; parenthesise"),
        ("name = a status eq b", "At character 20: 'eq' cannot stand in one filter with '='"),
        ("name eq a) (b", "At character 10: ')' is unexpected"),
        ('name eq "a("', r"At character 9: The regular expression is not RE2: missing ): a("),
        (r'name eq "(a)\1"', "The regular expression is not RE2: invalid escape sequence"),
        (r'name eq "(a{900}){900}"', "The regular expression is not RE2"),
        (r'name eq "\pL{900}"', "too large"),
        (f'name eq "{"a" * 1025}"', "A pattern may have 1024 characters"),
        ("name = " + "a" * 4096, "A filter may have 4096 characters, this has 4103"),
        (" ".join(f"a=b{n}" for n in range(201)), "A filter may have 200 comparisons"),
        (" ".join(f'(a eq "b{n}")' for n in range(33)), "A filter may have 32 patterns"),
        ("NOT " * 40 + "a=b", "Conditions may be nested 40 deep"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_its_position_and_token(text: str, says: str) -> None:
    assert says in refusal(text)


def test_a_refusal_repeats_no_more_than_the_start_of_a_long_filter() -> None:
    assert len(refusal("name = " + "a" * 4090 + " b")) < 500


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('name = "x"', {"name": "x"}),
        ("name eq x-1", {"name": "x-1"}),
        (r'name eq "^x\-1$"', {"name": "x-1"}),
        ('(name eq "x") (status eq READY)', {"name": "x", "status": "READY"}),
        ("labels.owner = ann AND name = x", {"labels.owner": "ann", "name": "x"}),
        ("name = x OR name = y", {}),
        ("NOT name = x", {}),
        ("name = x*", {}),
        ("name eq x.*", {}),
        (r'name eq ".*\bx\b.*"', {}),
        ("name != x", {}),
        ('name = ""', {}),
        ("creationTimestamp = 2025-06-20T17:00:00Z", {}),
    ],
)
def test_equalities_hold_only_what_one_text_alone_can_satisfy(text: str, expected: dict[str, str]) -> None:
    assert compile_filter(text).equalities() == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r'name eq ".*\bweb\-1\b.*"', {"name": "web-1"}),
        (r'(name eq ".*\bx\b.*") (status eq READY)', {"name": "x", "status": "READY"}),
        ("name = x", {"name": "x"}),
        (r'name eq ".*\bweb.*"', {}),
        (r'name eq ".*(^web).*"', {}),
        (r'name eq ".*\ba|b\b.*"', {}),
        (r'name ne ".*\bx\b.*"', {}),
        (r'name = ".*\bx\b.*"', {}),
    ],
)
def test_words_are_what_gcloud_makes_of_an_equality(text: str, expected: dict[str, str]) -> None:
    assert compile_filter(text).words() == expected


def test_fields_are_the_top_level_members_that_are_read() -> None:
    text = "(labels.owner = ann OR scheduling.preemptible = true) NOT status = DONE"
    assert compile_filter(text).fields == {"labels", "scheduling", "status"}


def test_the_part_about_names_lets_pass_whatever_the_whole_lets_pass() -> None:
    part = compile_filter("name = a* AND (name = b OR status = x) AND status = y").part({"name"})
    assert str(part) == 'name = "a*"'
    assert str(compile_filter("name = a OR status = x").part({"name"})) == ""


def test_one_text_is_compiled_once() -> None:
    assert compile_filter("name = once") is compile_filter("name = once")


def test_patterns_may_take_only_so_much_work_in_one_list() -> None:
    hard, easy = compile_filter(f"name eq .*a{'.' * 900}b"), compile_filter('name eq ".*\\bweb\\b.*"')
    value = {"name": "a" * 63}
    with limited_work():
        assert not any(easy.matches(value) for _ in range(10_000))
    with limited_work(), pytest.raises(GceError, match="At character 9: The pattern is too much work for this list"):
        for _ in range(10_000):
            hard.matches(value)
    assert not hard.matches(value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("-" * 4000 + "a=b", "nested 40 deep"),
        ("NOT " * 1000 + "a=b", "nested 40 deep"),
        ("(" * 4000, "At character 4001"),
        ("name eq " + "(" * 3900, "At character"),
        ("name eq " + "a" * 1025, "A pattern may have 1024 characters."),
        ("name eq (a{1,100}){1,100}", "not RE2"),
        ("name eq ((a{1,30}){1,30}){1,30}", "not RE2"),
        ("name eq (a.{1,900}){1,900}", "not RE2"),
        (" OR ".join(f"name = {number}*" for number in range(33)), "A filter may have 32 patterns."),
        (" ".join(f"(name eq {number})" for number in range(33)), "A filter may have 32 patterns."),
        (" OR ".join(f"name={number}" for number in range(201)), "A filter may have 200 comparisons."),
        ("name = " + "a" * 4096, "A filter may have 4096 characters, this has 4103."),
        ("name eq " + "a " * 1000, "A pattern may have 1024 characters."),
        ("name eq a\\", "At character"),
    ],
)
def test_no_text_is_too_large_or_too_deep_for_a_refusal(text: str, says: str) -> None:
    assert says in refusal(text)


def test_text_that_is_no_unicode_matches_nothing_and_breaks_nothing() -> None:
    assert passes("name eq .*", name="\ud800") is False
    assert "not Unicode" in refusal("name eq \ud800")
