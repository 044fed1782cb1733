"""Writing the security group that defines a firewall: its marks and its rules.

Apart from the enforcer, which never touches definitions. The surprising thing: marks are replaced by writing the next
ones beside them first, so a firewall can be read at every moment of a change, as it was or as it will be.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gstack.errors import GceError
from gstack.firewall import marks
from gstack.firewall.definitions import definition_rules
from gstack.firewall.grouprules import GroupRule
from gstack.firewall.groups import FIREWALL, Group
from gstack.firewall.writer import Writer, differences
from gstack.translate.tags import plan_own

MOST_ROUNDS = 4
RESOURCE = "SecurityGroup"


def define(writer: Writer, group_id: str, content: dict[str, Any]) -> None:
    """Make the group say ``content``, a firewall as :func:`gstack.firewall.bodies.completed` answers it.

    Looks at what is there and changes what differs, so it may be repeated. Raises what CloudStack refused, notFound for
    a group that is gone.
    """
    due = definition_rules(content)
    error: GceError | None = None
    for _ in range(MOST_ROUNDS):
        group = find(writer, group_id)
        authorize, revoke = differences([group], {group_id: due})
        create, delete = _mark_changes(group, content)
        if not (authorize or revoke or create or delete):
            return
        errors = [failed for commands in (authorize, create, revoke, delete) for failed in writer.all(commands)]
        if errors and error is not None and errors[0].message == error.message:
            raise errors[0]
        error = errors[0] if errors else None
    raise error or GceError("conflict", "The security group is being changed by others as well. Try again.")


def revoke(writer: Writer, group_id: str, gone: Iterable[GroupRule]) -> None:
    """Take rules out of a group; those that are not there do not matter. Raises what CloudStack refused."""
    group = find(writer, group_id)
    left = frozenset(group.rules) - frozenset(gone)
    errors = writer.all(differences([group], {group_id: left})[1])
    if any(error.kind != "notFound" for error in errors):
        raise errors[0]


def find(writer: Writer, group_id: str) -> Group:
    """The group as it is now. Raises GceError notFound."""
    row = writer.cloud.first("listSecurityGroups", id=group_id)
    if row is None:
        raise GceError("notFound", "The security group of the firewall is gone.")
    return Group(row)


def _mark_changes(
    group: Group, content: dict[str, Any]
) -> tuple[list[tuple[str, dict[str, Any]]], list[tuple[str, dict[str, Any]]]]:
    """The commands that make the marks say ``content``: those that create, and those that delete the old ones."""
    rows = group.row.get("tags", ())
    number, said = marks.unpack(FIREWALL, rows)
    there = marks.present(FIREWALL, rows)
    wanted = marks.pack(FIREWALL, number if said == content else marks.highest(FIREWALL, rows) + 1, content)
    changes = plan_own(rows, {**dict.fromkeys(there), **wanted})
    common = {"resourcetype": RESOURCE, "resourceids": [group.id]}
    create = [("createTags", {**common, "tags": changes.create})] if changes.create else []
    delete = [("deleteTags", {**common, "tags": changes.delete})] if changes.delete else []
    return create, delete
