"""Machines as they stand: what is looked at before one of them changes.

Apart because most workflows of instances begin with it. All of it runs inside of steps.
"""

from __future__ import annotations

from typing import Any

from gstack.errors import not_found
from gstack.operations.run import Run
from gstack.translate import machines

Row = dict[str, Any]


def machine(run: Run, key: str, details: list[str]) -> Row:
    """CloudStack's row of a machine. Raises GceError notFound, also for one that is destroyed."""
    row = run.cloud.first("listVirtualMachines", id=key, details=details)
    if row is None or row["state"] in machines.GONE:
        raise not_found(run.target)
    return row


def state_of(run: Run, key: str) -> str:
    """CloudStack's state of a machine. Raises GceError notFound."""
    return str(machine(run, key, ["min"])["state"])


def in_state(run: Run, key: str, state: str) -> Row | None:
    """The machine if it is in that state."""
    row = run.cloud.first("listVirtualMachines", id=key, details=["min"])
    return row if row is not None and row["state"] == state else None


def may_expunge(run: Run) -> bool:
    """Whether users may have a destroyed machine taken away at once, and not a day later."""
    return bool(run.cloud.call("listCapabilities").get("capability", {}).get("allowuserexpungerecovervm"))
