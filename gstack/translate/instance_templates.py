"""Instance templates: what an instance is to be, kept in gstack's store.

Apart because their own methods and those that make instances read them. The surprising thing: a template names machine
types, images and networks that nobody looks for until an instance is made of it, as in GCE.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gstack.errors import invalid, not_found
from gstack.translate import kept
from gstack.translate.caller import Caller, Project

KIND = "instanceTemplates"
METADATA = "metadata"  # beside the other properties, where the store seals it

Template = Mapping[str, Any]


def container(region: str | None) -> str:
    """Where the templates of a region are, or those of all regions."""
    return f"regions/{region}" if region else "global"


def path(project: str, region: str | None, name: str) -> str:
    """The link of a template from ``projects/`` on."""
    return f"projects/{project}/{container(region)}/instanceTemplates/{name}"


def store_key(project: Project, region: str | None, name: str) -> str:
    """The key of its row."""
    return kept.store_key(project, KIND, f"{container(region)}/{name}")


def row(project: Project, region: str | None, body: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a new template; ``body`` is GCE's, checked."""
    properties = dict(body["properties"])
    metadata = properties.pop(METADATA, None)
    return {
        **kept.born(project, KIND, f"{container(region)}/{body['name']}"),
        "name": body["name"],
        "region": region,
        "description": body.get("description"),
        "sourceInstance": body.get("sourceInstance"),
        "sourceInstanceParams": body.get("sourceInstanceParams"),
        "properties": properties,
        METADATA: metadata,
    }


def listed(project: Project) -> list[Template]:
    """The templates of a project, of all regions and of none."""
    return list(kept.rows(project, KIND))


def find(project: Project, region: str | None, name: str) -> Template | None:
    """The template of that name, or number."""
    found = (one for one in listed(project) if one["region"] == region)
    return next((one for one in found if name in (one["name"], one["number"])), None)


def properties(template: Template) -> dict[str, Any]:
    """What an instance made of it is to be."""
    metadata = template.get(METADATA)
    return dict(template["properties"]) | ({METADATA: metadata} if metadata else {})


def referenced(caller: Caller, given: str, where: str, alias: str) -> Template:
    """The template that a client named in ``where``; ``alias`` is the project as it wrote it. Raises GceError."""
    reference = caller.refer(given, collection="instanceTemplates", field=where)
    if reference.project not in (alias, caller.project.id):
        raise invalid(where, given, "The instance template belongs to another project.")
    found = find(caller.project, reference.region, reference.name)
    if found is None:
        raise not_found(path(caller.project.id, reference.region, reference.name))
    return found
