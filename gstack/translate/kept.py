"""Rows of the store that are GCE objects of their own: what CloudStack has nothing for.

Apart because several collections are kept so. The surprising thing: a project's name does not say whose a row is, as
accounts of two domains may be called alike.
"""

from __future__ import annotations

import hashlib
from typing import Any

from gstack.store import overlay
from gstack.translate.caller import Project


def owner(project: Project) -> str:
    """Whose a row of the store is: names of projects may be those of several accounts."""
    return project.cloudstack_id or f"{project.domain_id}/{project.account}"


def store_key(project: Project, kind: str, name: str) -> str:
    """The key of a row of the store that has no CloudStack object."""
    return hashlib.blake2b(f"{owner(project)}/{kind}/{name}".encode(), digest_size=16).hexdigest()


def rows(project: Project, kind: str) -> list[dict[str, Any]]:
    """The rows of a kind that the store keeps for a project; each has its ``owner``."""
    return [data for data in overlay.of_project(kind, project.id).values() if data.get("owner") == owner(project)]
