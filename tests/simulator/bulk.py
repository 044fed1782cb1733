"""The thousand machines of the recorded account `bulk`, and how the recording tells rows it left out.

Apart from the rest of the prologue, because they are put into the tables as they are: deploying a thousand takes long.
Surprising: they came up many at a time, so their order is not quite that of their names; it is chosen here so that
the names the recording tells stand where it tells them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gstack.simulator import Simulator

FIRST = (1, 10, 0, 2, 3, 5, 6, 7, 8, 4, 9)
NUMBERS = (*FIRST, *range(11, 998), 999, 998)


def deploy_all(cloud: Simulator, ids: Sequence[str], **params: str) -> None:
    """`ids`: those of the first machines, as recorded."""
    names = [f"b{number:04}" for number in NUMBERS]
    key = cloud.do("bulk", "deployVirtualMachine", name="model", startvm="false", **params)["id"]
    cloud.world.clock.now += 10  # type: ignore[attr-defined]
    cloud.settle()
    table = cloud.world.machine
    model = table[key]
    for position, name in enumerate(names):
        uuid = ids[position] if position < len(ids) else cloud.world.uuid()
        table.add(replace(model, id=uuid, number=table.take_number(), name=name, displayname=name, nics=[]))
    for key in model.nics:
        cloud.world.nic.remove(cloud.world.nic[key])
    table.remove(model)


def shortened(recorded: object, fresh: object) -> object:
    """The fresh answer told as the recording does where it holds a sentence instead of its rows."""
    if not (isinstance(recorded, dict) and isinstance(fresh, dict) and len(recorded) == len(fresh) == 1):
        return fresh
    [(wrapper, inner)] = recorded.items()
    short = [key for key, value in inner.items() if isinstance(value, str) and value.startswith("(")]
    body = fresh.get(wrapper)
    if not short or not isinstance(body, dict):
        return fresh
    rows = body.get(short[0], [])
    ends = (rows[0]["name"], rows[-1]["name"]) if rows else (None, None)
    told = f"({len(rows)} objects, first name {ends[0]}, last name {ends[1]})"
    return {wrapper: {**body, short[0]: told, "errortext": None}}
