"""Page tokens and page sizes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st

from gstack.errors import GceError
from gstack.protocol.paging import CARRIED, LIFE, Mark, Seal, current_seal, digest, init_app, page_size, query_digest

RECORDED = json.loads((Path(__file__).parent.parent / "recordings" / "list_queries.json").read_text())
SEAL = Seal(lambda: [b"k" * 32])
PARAMS = {"project": "p", "zone": "z", "filter": "name = a", "orderBy": "name", "maxResults": 10}
QUERY = query_digest("compute.instances.list", PARAMS, "ann")


def refusal(token: str, query: str = QUERY, now: float | None = None, seal: Seal = SEAL) -> str:
    with pytest.raises(GceError, match="Invalid value for field 'pageToken'") as caught:
        seal.redeem(query, token, now)
    assert (caught.value.http, caught.value.problems[0].location) == (400, "pageToken")
    return caught.value.message


@given(st.lists(st.text() | st.integers(-(2**62), 2**62), max_size=4).map(tuple))
@settings(deadline=None)
def test_a_token_gives_back_the_key_it_was_issued_for(key: tuple[str | int, ...]) -> None:
    mark = Mark(key, (digest("zones/a", "1"), digest("zones/b", "1")), "name", 7)
    assert SEAL.redeem(QUERY, SEAL.issue(QUERY, mark)) == mark


def test_the_longest_token_fits_a_url() -> None:
    left = tuple(digest("zones/a", str(number)) for number in range(CARRIED))
    assert len(SEAL.issue(QUERY, Mark(("zones/a", "n" * 63, "i" * 36), left))) < 2000


@pytest.mark.parametrize(
    "change", [{"project": "q"}, {"zone": "y"}, {"filter": "name = b"}, {"filter": None}, {"orderBy": None}]
)
def test_a_token_leads_nowhere_in_another_query(change: dict[str, str | None]) -> None:
    refusal(SEAL.issue(QUERY, Mark(("a",))), query_digest("compute.instances.list", PARAMS | change, "ann"))


def test_a_token_leads_nowhere_in_another_method_or_for_another_caller() -> None:
    token = SEAL.issue(QUERY, Mark(("a",)))
    refusal(token, query_digest("compute.disks.list", PARAMS, "ann"))
    refusal(token, query_digest("compute.instances.list", PARAMS, "bob"))


def test_the_page_size_and_the_mask_may_change_on_the_way() -> None:
    changed = PARAMS | {"maxResults": 3, "fields": "items/id", "pageToken": "t", "prettyPrint": False}
    assert query_digest("compute.instances.list", changed, "ann") == QUERY


def test_a_token_expires_after_a_day() -> None:
    token = SEAL.issue(QUERY, Mark(("a",)), now=1_000_000)
    assert SEAL.redeem(QUERY, token, now=1_000_000 + LIFE) == Mark(("a",))
    assert "has expired" in refusal(token, now=1_000_000 + LIFE + 1)


@pytest.mark.parametrize("token", ["TOK=1/a", "x" * 5000, "é", "\ud800", "CjQIz5W-w6HRxAI6KQoCGAEKAiAA"])
def test_a_token_that_was_made_up_is_refused(token: str) -> None:
    assert len(refusal(token)) < 300


@given(st.data())
@settings(deadline=None)
def test_a_token_with_any_character_changed_is_refused(data: st.DataObject) -> None:
    token = SEAL.issue(QUERY, Mark(("a", "1")), now=1_000_000)
    at = data.draw(st.integers(0, len(token.rstrip("=")) - 2))
    other = data.draw(st.sampled_from("ABCxyz019-_").filter(lambda character: character != token[at]))
    refusal(token[:at] + other + token[at + 1 :], now=1_000_000)


def test_a_token_of_another_key_is_refused() -> None:
    refusal(Seal(lambda: [b"o" * 32]).issue(QUERY, Mark(("a",))))


def test_a_token_outlives_the_key_it_was_sealed_with_being_replaced_but_not_its_being_taken_away() -> None:
    keys = [b"k" * 32]
    running = Seal(lambda: keys)
    token = running.issue(QUERY, Mark(("a",)))
    keys.insert(0, b"o" * 32)
    assert running.redeem(QUERY, token) == Mark(("a",))
    assert Seal(lambda: keys[:1]).redeem(QUERY, running.issue(QUERY, Mark(("b",)))) == Mark(("b",))
    keys.pop()
    refusal(token, seal=running)


def test_a_token_does_not_show_what_it_holds() -> None:
    assert "secret-name" not in SEAL.issue(QUERY, Mark(("secret-name",))) and "k" * 32 not in repr(SEAL)


def test_the_applications_key_is_the_one_that_requests_use() -> None:
    app = Flask("test")
    init_app(app, lambda: [b"k" * 32])
    with app.app_context():
        assert current_seal().redeem(QUERY, SEAL.issue(QUERY, Mark(("a",)))) == Mark(("a",))


@pytest.mark.parametrize(("value", "size"), [(None, 500), ("", 500), (0, 500), ("0", 500), (1, 1), ("500", 500)])
def test_a_page_has_as_many_rows_as_asked_and_500_by_default(value: int | str | None, size: int) -> None:
    assert page_size(value) == size


@pytest.mark.parametrize("value", [entry["value"] for entry in RECORDED["maxResults"]])
def test_the_sizes_that_real_clients_ask_for_are_granted(value: str) -> None:
    assert page_size(value) == int(value)


@pytest.mark.parametrize("value", [-1, 501, "1000", "ten", "1.5"])
def test_a_size_outside_of_0_to_500_is_refused(value: int | str) -> None:
    with pytest.raises(GceError, match=r"'maxResults': '.*'\. Must be an integer from 0 to 500"):
        page_size(value)
