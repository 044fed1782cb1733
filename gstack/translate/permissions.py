"""What a caller may do, from the role that CloudStack gave it: Google's IAM answered by what really holds.

Apart because every collection with IAM verbs answers alike. A permission is held where the commands are allowed that
its method needs; Google's permissions are called as its methods are. The surprising thing: no object has a policy of
its own, so every policy that is asked for is the empty one that GCE shows of an object on which none was ever set.
"""

from __future__ import annotations

from typing import Any

from gstack.protocol.call import Call
from gstack.protocol.methods import HANDLERS
from gstack.protocol.policy import Policy

ASKED = Policy(honoured=("permissions",))
NO_OWN_POLICY = "CloudStack's roles say who may do what; a single object has no policy."
CREATE = ".create"  # the permission that is not called as its method, insert


def policy() -> dict[str, Any]:
    """The policy of an object that has none; the etag is GCE's."""
    return {"version": 1, "etag": "ACAB"}


def held(call: Call, *, public: bool = False) -> dict[str, Any]:
    """Those of the permissions of the body that the caller holds on an object of the call's collection; ``public``: of
    an object that is not its own and may be read only."""
    allowed = call.caller.catalogue.apis(call.caller.cloud)
    prefix = f"compute.{call.method.resource}."
    found = []
    for name in dict.fromkeys(call.body.get("permissions") or []):
        handler = HANDLERS.get(f"{prefix}insert" if name == prefix.rstrip(".") + CREATE else name)
        if handler is None or not name.startswith(prefix) or (public and not handler.public):
            continue
        if allowed.issuperset(handler.needs):
            found.append(name)
    return {"permissions": found} if found else {}
