"""The metadata that all instances of a project share.

Apart because instances read what the project's methods write. The surprising thing: CloudStack has nothing of the
kind, so these items are in the store only, and reach a guest as part of its own user data.
"""

from __future__ import annotations

from typing import Any

from gstack.store import overlay
from gstack.translate.caller import Project

KIND = "projects"


def read(project: Project) -> list[dict[str, Any]]:
    """The items, as they were set."""
    items: list[dict[str, Any]] = overlay.read(KIND, project.id).get("metadata", [])
    return items


def write(project: Project, items: list[dict[str, Any]]) -> None:
    """Replace the items."""
    overlay.write(KIND, project.id, project.id, {"metadata": items})
