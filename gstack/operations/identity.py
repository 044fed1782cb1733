"""What an operation is called, where it belongs, and when a request is a repeated one.

Apart because it is pure: no database, no workflow engine. The surprising thing: ``requestId`` is GCE's
idempotency key for 24 hours only, and belongs to one user of one project.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gstack.errors import invalid

REQUEST_ID_MS = 24 * 3600 * 1000
_PLACE = re.compile(
    r"projects/(?P<project>[^/]+)"
    r"(?:/(?P<scope>global|regions/[^/]+|zones/[^/]+)(?:/(?P<collection>[^/]+)/(?P<name>[^/]+))?)?"
)
# The protocol's parameters: the same mutation may be asked for with or without them.
_COSMETIC = frozenset({"access_token", "alt", "fields", "key", "prettyPrint", "quotaUser", "requestId", "userIp"})


@dataclass(frozen=True)
class Place:
    """Where a link points: ``scope`` is ``global``, ``regions/<region>`` or ``zones/<zone>``."""

    project: str
    scope: str
    collection: str
    name: str


def place(link: str) -> Place:
    """The parts of a link from ``projects/`` on; a project by itself counts as global.

    Raises ValueError for anything else: links are made by our own code.
    """
    found = _PLACE.fullmatch(link)
    if found is None:
        raise ValueError(f"{link!r} is no link to a resource")
    parts = found.groupdict()
    return Place(
        parts["project"],
        parts["scope"] or "global",
        parts["collection"] or "projects",
        parts["name"] or parts["project"],
    )


def operation_name(now_ms: int) -> str:
    """A name in the form of Google's: ``operation-<ms>-<13 hex>-<8 hex>-<8 hex>``."""
    return f"operation-{now_ms}-{secrets.token_hex(7)[:13]}-{secrets.token_hex(4)}-{secrets.token_hex(4)}"


def operation_number() -> int:
    """A number of 19 digits below 2^63, as Google's are: clients read it as a signed 64-bit integer."""
    return 10**18 + secrets.randbelow(8 * 10**18)


def stamp(ms: int | None) -> str | None:
    """RFC 3339 with milliseconds, in UTC, with an offset as all of GCE's times have."""
    if ms is None:
        return None
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}+00:00"


def request_uuid(value: str) -> str:
    """``requestId`` in one spelling; GceError ``invalid`` for what GCE refuses."""
    try:
        parsed = uuid.UUID(value) if len(value) == 36 else uuid.UUID(int=0)
    except ValueError:
        parsed = uuid.UUID(int=0)
    if parsed.int == 0:
        raise invalid("requestId", value, "It must be a UUID, and not the one of zeros only.")
    return str(parsed)


def request_key(project: str, user: str, request_id: str) -> str:
    """What a repeated request is found by: one user's id in one project."""
    return hashlib.sha256("\0".join((project, user, request_uuid(request_id))).encode()).hexdigest()


def request_hash(method_id: str, params: dict[str, Any], body: dict[str, Any]) -> str:
    """Equal exactly when two requests ask for the same: method, path, query and body."""
    asked = {name: value for name, value in params.items() if name not in _COSMETIC}
    text = json.dumps([method_id, asked, body], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
