"""The record of upstream calls."""

from __future__ import annotations

from gstack.cloudstack.trace import UpstreamCall, record, trace


def test_calls_are_collected_while_a_trace_is_under_way_and_forgotten_otherwise():
    record("before", 1.0, "200")
    with trace() as calls:
        record("listZones", 2.5, "200")
    record("after", 1.0, "200")
    assert calls == [UpstreamCall("listZones", 2.5, "200")]


def test_an_enclosing_trace_gets_the_calls_of_an_inner_one():
    with trace() as outer:
        with trace() as inner:
            record("inner", 1.0, "431")
        record("outer", 1.0, "200")
    assert [call.command for call in inner] == ["inner"]
    assert [call.command for call in outer] == ["inner", "outer"]
