"""Numeric ids in URLs in place of names, for every collection that has a list.

Apart so that no room has to think of it: Terraform reads ``<collection>/<targetId>`` right after an insert. The
surprising thing: it is tried only after the room did not find the name, because a room that knows numbers itself finds
them without listing everything.
"""

from __future__ import annotations

import re
from dataclasses import replace

from gstack.protocol.call import Call
from gstack.protocol.discovery import PLACEHOLDER
from gstack.protocol.methods import HANDLERS

NUMBER = re.compile(r"[1-9][0-9]{0,19}")  # no name begins with a digit
# What the look-up keeps of a request: where the resource lies. What it asks for otherwise is not the list's business.
PLACES = ("project", "zone", "region")


def by_name(call: Call) -> Call | None:
    """``call`` for the resource that has the number it was made for, under its name; None where there is no such.

    It remembers what was asked for: with a ``requestId``, that is what a repeated request is compared with.
    """
    own = PLACEHOLDER.findall(call.method.path)[-1:]
    wanted = str(call.params.get(own[0], "")) if own and own[0] not in PLACES[:1] else ""
    listed = HANDLERS.get(f"compute.{call.method.resource}.list")
    if listed is None or not NUMBER.fullmatch(wanted):
        return None
    scope = {name: call.params[name] for name in PLACES if name in call.params and name != own[0]}
    found = listed(replace(call, method=listed.method, params={**scope, "filter": f"id = {wanted}"}, body={}))
    names = [item["name"] for item in found.get("items", []) if "name" in item]
    named = {**call.params, own[0]: names[0]} if len(names) == 1 else None
    return replace(call, params=named, asked=call.params) if named else None
