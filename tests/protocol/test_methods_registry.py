"""Binding functions to methods."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gstack.protocol import methods
from gstack.protocol.call import Call
from gstack.protocol.discovery import document
from gstack.protocol.links import Links
from gstack.protocol.policy import Policy


@pytest.fixture(autouse=True)
def _empty_registries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(methods, "HANDLERS", {})
    monkeypatch.setattr(methods, "REFUSED", {})
    yield


def _answer(call: Call) -> dict[str, str]:
    return {"project": call.project}


def test_a_bound_function_answers_calls() -> None:
    assert methods.method("compute.zones.list", needs=("listZones",), public=True)(_answer) is _answer
    handler = methods.HANDLERS["compute.zones.list"]
    call = Call(handler.method, {"project": "p1"}, {}, Links("https://gw/compute/v1"))
    assert handler(call) == {"project": "p1"}
    assert (handler.needs, handler.public, handler.body) == (("listZones",), True, None)


def test_an_unknown_method_fails_at_import() -> None:
    with pytest.raises(ValueError, match=r"compute\.zones\.lst is no method"):
        methods.method("compute.zones.lst")


def test_a_method_is_bound_once() -> None:
    methods.method("compute.zones.list")(_answer)
    with pytest.raises(ValueError, match="bound twice"):
        methods.refused("compute.zones.list", "No.")


def test_a_method_with_a_body_needs_a_policy() -> None:
    with pytest.raises(ValueError, match="its request is Instance, its policy None"):
        methods.method("compute.instances.insert")


def test_a_method_without_a_body_takes_no_policy() -> None:
    with pytest.raises(ValueError, match="its request is None"):
        methods.method("compute.instances.stop", body=Policy())


def test_a_policy_with_a_typo_fails_at_import() -> None:
    with pytest.raises(ValueError, match="Instance has no nmae"):
        methods.method("compute.instances.insert", body=Policy(honoured={"nmae"}))


def test_coverage_tells_the_state_of_every_method() -> None:
    methods.method("compute.zones.list")(_answer)
    methods.refused("compute.zones.get", "No zones here.")
    found = {method_id: (state, reason) for method_id, state, reason in methods.coverage()}
    assert found.keys() == document().methods.keys()
    assert found["compute.zones.list"] == ("served", "")
    assert found["compute.zones.get"] == ("refused", "No zones here.")
    assert found["compute.disks.get"] == ("not yet", "")


def test_a_call_hides_its_secrets() -> None:
    call = Call(
        document().methods["compute.zones.list"],
        {"project": "p1"},
        {"rawKey": "topsecret"},
        Links("https://gw/compute/v1"),
        headers={"Authorization": "Bearer topsecret"},
        caller="topsecret",
    )
    assert "topsecret" not in repr(call)
