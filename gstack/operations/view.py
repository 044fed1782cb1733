"""The GCE operation that a row is.

Apart from ``resources/operations.py`` because every mutation answers one. The surprising thing:
``targetLink`` is stored without a host; the links of whoever reads make it absolute, as clients call it as
it stands.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from gstack.operations.identity import stamp
from gstack.protocol.links import Links
from gstack.protocol.rendering import render
from gstack.store.db import db
from gstack.store.operations import DONE, Operation

BULK_INSERT = "bulkInsert"
COUNTS = ("targetVmCount", "createdVmCount", "failedToCreateVmCount", "deletedVmCount")


def operation_view(row: Operation, links: Links) -> dict[str, Any]:
    """The complete GCE resource."""
    container = f"projects/{row.project}/{row.scope}"
    failure = row.error or {}
    return render(
        "operation",
        row=row,
        zone=links.absolute(container) if row.scope.startswith("zones/") else None,
        region=links.absolute(container) if row.scope.startswith("regions/") else None,
        target_link=links.absolute(row.target_link),
        insert_time=stamp(row.insert_ms),
        start_time=stamp(row.start_ms),
        end_time=stamp(row.end_ms),
        error=failure.get("error"),
        http_error_status_code=failure.get("httpErrorStatusCode"),
        http_error_message=failure.get("httpErrorMessage"),
        bulk_insert=_bulk_insert(row) if row.type == BULK_INSERT else None,
        self_link=links.absolute(f"{container}/operations/{row.name}"),
    )


def _bulk_insert(row: Operation) -> dict[str, Any] | None:
    """How far the instances of a bulkInsert are, by zone: each has an operation of the same group."""
    query = select(Operation.scope, Operation.status, Operation.error).where(
        Operation.operation_group_id == row.operation_group_id, Operation.type != BULK_INSERT
    )
    zones: dict[str, dict[str, Any]] = {}
    for scope, status, error in db.session.execute(query):
        found = zones.setdefault(scope, dict.fromkeys(COUNTS, 0))
        found["targetVmCount"] += 1
        found["createdVmCount"] += status == DONE and error is None
        found["failedToCreateVmCount"] += status == DONE and error is not None
    for found in zones.values():
        if row.status == DONE and row.error is not None:  # then nothing stays
            found["deletedVmCount"], found["createdVmCount"] = found["createdVmCount"], 0
        found["status"] = "DONE" if row.status == DONE else "CREATING"
    return {"perLocationStatus": zones} if zones else None
