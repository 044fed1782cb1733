"""CloudStack's dates as GCE writes them.

CloudStack: ``2026-11-21T08:29:58+0000``, always UTC. GCE: RFC 3339 with milliseconds and an offset.
"""

from __future__ import annotations

from datetime import UTC, datetime

# What GCE shows as the creation date of zones, regions and disk types, which nobody ever created.
NO_DATE = "1969-12-31T16:00:00.000-08:00"


def now() -> str:
    """This moment, as the store keeps the dates of what CloudStack has no date of."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def rfc3339(date: str | None) -> str | None:
    """A date of CloudStack's as GCE writes it; None stays None."""
    if not date:
        return None
    return f"{date[:19]}.000+00:00"
