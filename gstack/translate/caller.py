"""Who asks, and in which project: what the guard hands to every handler.

At the bottom of this room so that the guard, the handlers and the workflows share one definition. It holds
no keys: those are inside the ``cloud``, which is never serialised.
"""

from __future__ import annotations

from dataclasses import dataclass

from gstack.cloudstack.catalogue import Catalogue
from gstack.cloudstack.client import Cloud
from gstack.settings import Settings


@dataclass(frozen=True)
class Project:
    """A GCE project: a CloudStack account, or a CloudStack project that the account belongs to.

    ``id`` is the GCE project id, ``name`` CloudStack's own name of the account or project,
    ``cloudstack_id`` the project's UUID or None for the account itself. ``public`` marks a project that
    only offers images.
    """

    id: str
    name: str
    cloudstack_id: str | None
    account: str
    domain_id: str
    public: bool = False


@dataclass(frozen=True)
class Caller:
    """An authenticated user inside one project. ``cloud`` is scoped to that project already."""

    credential_id: str
    user: str
    cloud: Cloud
    catalogue: Catalogue
    project: Project
    settings: Settings
