"""The GCE operation that a row is.

Apart from ``resources/operations.py`` because every mutation answers one. The surprising thing:
``targetLink`` is stored without a host; the links of whoever reads make it absolute, as clients call it as
it stands.
"""

from __future__ import annotations

from typing import Any

from gstack.operations.identity import stamp
from gstack.protocol.links import Links
from gstack.protocol.rendering import render
from gstack.store.operations import Operation


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
        self_link=links.absolute(f"{container}/operations/{row.name}"),
    )
