"""Who asks, and in which project: what the guard hands to every handler.

At the bottom of this room so that the guard, the handlers and the workflows share one definition. It holds
no keys: those are inside the ``cloud``, which is never serialised.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gstack.cloudstack.catalogue import Catalogue
from gstack.cloudstack.client import Cloud
from gstack.protocol.links import Reference, parse
from gstack.settings import Settings


@dataclass(frozen=True)
class Project:
    """A GCE project: a CloudStack account, or a CloudStack project that the account belongs to.

    ``id`` is the GCE project id, ``name`` CloudStack's own name of the account or project,
    ``cloudstack_id`` the project's UUID or None for the account itself. ``public`` marks a project that
    only offers images. ``number`` is the project number, which clients write in place of the id.
    """

    id: str
    name: str
    cloudstack_id: str | None
    account: str
    domain_id: str
    public: bool = False
    number: str = ""


@dataclass(frozen=True)
class Caller:
    """An authenticated user inside one project. ``cloud`` is scoped to that project already."""

    credential_id: str
    user: str
    cloud: Cloud
    catalogue: Catalogue
    project: Project
    settings: Settings

    def refer(
        self, reference: str, *, collection: str, field: str, zone: str | None = None, region: str | None = None
    ) -> Reference:
        """What :func:`parse` makes of ``reference`` in this project, whose number means the same as its id."""
        found = parse(reference, collection=collection, project=self.project.id, field=field, zone=zone, region=region)
        return replace(found, project=self.project.id) if found.project == self.project.number else found
