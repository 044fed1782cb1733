"""Details of any object, by the operator's hand: so far those of machines.

Apart from machines, because the commands name the kind of the object. Surprising: a user may list them and
change none.
"""

from __future__ import annotations

from ..call import Call
from ..errors import ApiError
from ..jobs import Steps
from ..model import Machine, Row
from ..registry import command


def target(call: Call) -> Machine:
    machine = call.world.machine.get((call.text("resourceid") or "").lower())
    kind = call.text("resourcetype") or ""
    if kind.lower() != "uservm":
        raise ApiError(431, f"The resource type {kind} doesn't support metadata (resource details)")
    if machine is None:
        raise ApiError(431, f"Unable to find resource by id {call.text('resourceid')} and type {kind}")
    return machine


@command("addResourceDetail")
def add(call: Call) -> Row:
    pairs = [(pair["key"], pair["value"]) for pair in call.maps("details") if "key" in pair and "value" in pair]

    def work() -> Steps:
        machine = target(call)
        yield 0.1
        machine.details.update(pairs)
        return {"success": True}

    return call.later(work)


@command("removeResourceDetail")
def remove(call: Call) -> Row:
    key = call.text("key")

    def work() -> Steps:
        machine = target(call)
        yield 0.1
        if key is None:
            machine.details.clear()
        else:
            machine.details.pop(key, None)
        return {"success": True}

    return call.later(work)
