"""Aggregated lists by kind of scope, and regions that are newer than what is cached."""

from __future__ import annotations

from typing import Any

import pytest

from gstack.translate import scopes

COLLECTIONS = {
    "instances": {"zones"},
    "diskTypes": {"zones"},
    "routers": {"regions"},
    "resourcePolicies": {"regions"},
    "addresses": {"global", "regions"},
    "instanceTemplates": {"global", "regions"},
    "operations": {"global", "regions", "zones"},
}


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_a_collection_shows_the_scopes_where_it_can_be_and_the_others_on_request(gateway: Any, collection: str) -> None:
    own = {scope.partition("/")[0] for scope in gateway.get(f"aggregated/{collection}")["items"]}
    assert own == COLLECTIONS[collection]
    every = gateway.get(f"aggregated/{collection}", includeAllScopes="true")["items"]
    assert {scope.partition("/")[0] for scope in every} == {"global", "regions", "zones"}


def test_rows_are_grouped_by_scope_in_their_order() -> None:
    assert scopes.grouped("bac", lambda row: f"zones/{row in 'ab'}") == {"zones/True": ["b", "a"], "zones/False": ["c"]}


def test_a_region_that_is_not_there_is_a_404_that_names_it(gateway: Any) -> None:
    gateway.get("zones")  # cached from here on
    assert "regions/nowhere" in gateway.refuse("GET", "regions/nowhere/routers", status=404)
    assert gateway.upstream.count("listZones") == 1  # it may be newer than that
