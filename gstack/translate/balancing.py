"""What the objects of load balancing say of one another: references, and who uses whom.

Apart because health checks, pools, groups, backend services and forwarding rules must agree on it. The surprising
thing: all of them are rows of the store that name each other by their paths below the project, so who uses an object is
found by looking for its path.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gstack.errors import GceError, invalid, not_found
from gstack.translate import kept
from gstack.translate.caller import Caller, Project

Row = dict[str, Any]

POOLS, RULES, SERVICES, GROUPS = "targetPools", "forwardingRules", "backendServices", "instanceGroups"


def referenced(
    caller: Caller, given: str, collection: str, field: str, *, region: str | None = None, zone: str | None = None
) -> str:
    """The path below the project of the object of the store that ``field`` names. Raises GceError invalid, notFound."""
    reference = caller.refer(given, collection=collection, field=field, region=region, zone=zone)
    if reference.project != caller.project.id:
        raise invalid(field, given, "It belongs to another project.")
    scope = "/".join(filter(None, (reference.scope, reference.scope_name)))
    row = kept.find(caller.project, collection, scope, reference.name)
    if row is None:
        raise not_found(f"projects/{caller.project.id}/{scope}/{collection}/{reference.name}")
    return kept.path(collection, row)


def users(project: Project, path: str) -> list[str]:
    """The paths of the objects that name the one at ``path``."""
    return [
        kept.path(kind, row)
        for kind in (POOLS, SERVICES, RULES)
        for row in kept.rows(project, kind)
        if path in _named(row["body"])
    ]


def check_unused(project: Project, path: str) -> None:
    """Raises GceError resourceInUseByAnotherResource where another object names the one at ``path``."""
    for user in users(project, path):
        singular = path.split("/")[-2].removesuffix("s")
        message = (
            f"The {singular} resource 'projects/{project.id}/{path}' is already being used by "
            f"'projects/{project.id}/{user}'"
        )
        raise GceError("resourceInUseByAnotherResource", message)


def _named(body: Row) -> Iterator[str]:
    yield from body.get("healthChecks") or ()
    for member in ("target", "backendService"):
        if body.get(member):
            yield body[member]
    for backend in body.get("backends") or ():
        yield backend["group"]
