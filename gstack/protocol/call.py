"""What a handler gets: one request, checked and typed, in GCE's names.

Apart because every room above uses it and it uses none of them. The surprising thing: ``caller`` is set by
the guard after the call was made, and its type is only known further up (``translate.caller.Caller``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from werkzeug.datastructures import Headers

from gstack.protocol.discovery import Method
from gstack.protocol.links import Links


@dataclass(slots=True)
class Call:
    """One request under way.

    ``params`` holds path and query parameters by their discovery names, typed, defaults filled in. ``body``
    is checked: nulls and output-only members are gone, int64 is int. ``project`` is the GCE project id of the
    URL, empty for methods outside of projects. ``request_id`` names the request in logs; GCE's own
    idempotency key is ``params["requestId"]``. ``deadline`` (``time.monotonic``) is when a batch wants its answers,
    None for a request of its own. ``asked``: the path and query parameters as they came, where ``params`` has a name in
    place of a number; by these a repeated request is known. ``cleared``: members of the body that came as null or empty
    text, which is how clients take something away. Headers, body and caller stay out of the repr: they hold secrets.
    """

    method: Method
    params: Mapping[str, Any]
    body: dict[str, Any] = field(repr=False)
    links: Links
    headers: Headers | Mapping[str, str] = field(repr=False, default_factory=dict)
    request_id: str = ""
    caller: Any = field(repr=False, default=None)
    deadline: float | None = None
    asked: Mapping[str, Any] | None = None
    cleared: frozenset[str] = frozenset()

    @property
    def project(self) -> str:
        """The GCE project id of the URL; empty for the methods that lie outside of projects."""
        return str(self.params.get("project", ""))
