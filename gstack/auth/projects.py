"""From the project of a URL to the CloudStack account or project behind it.

Apart from the guard because it is the one place that decides what a credential reaches. The surprising
thing: there is no register of projects. Whatever CloudStack shows this very user is what it reaches;
everything else, existing or not, is one and the same "not found".
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gstack.auth.expiring import Expiring
from gstack.auth.grant import Grant
from gstack.auth.identity import NOT_PERMITTED, Identity
from gstack.auth.keyring import Keyring
from gstack.cloudstack.errors import CloudStackError, Throttled, Unavailable
from gstack.protocol.ids import numeric_id
from gstack.translate.caller import Project
from gstack.translate.names import gce_names

CACHE_SECONDS = 60
STALE_SECONDS = 900
# After a miss the list is asked for again, but not more often than this.
MISS_SECONDS = 5


@dataclass(frozen=True)
class Reach:
    """What one credential reaches: GCE project id to project, and every other spelling to a GCE project
    id."""

    projects: dict[str, Project]
    aliases: dict[str, str]

    def find(self, text: str) -> Project | None:
        """The project with that id, or else with that alias."""
        return self.projects.get(text) or self.projects.get(self.aliases.get(text, ""))


def reach(identity: Identity, rows: list[dict[str, Any]]) -> Reach:
    """The reach of a user to whom CloudStack shows the projects ``rows`` (of listProjects). Its own account
    comes first, so that a CloudStack project of the same name is the one to get a suffix."""
    account = {"id": identity.account_id, "name": identity.account, "created": ""}
    names = gce_names(
        [account, *rows],
        name=lambda row: str(row["name"]),
        id=lambda row: str(row["id"]),
        created=lambda row: str(row.get("created", "")),
    )
    own = Project(
        id=names[identity.account_id],
        name=identity.account,
        cloudstack_id=None,
        account=identity.account,
        domain_id=identity.domain_id,
    )
    projects = {own.id: own}
    aliases: dict[str, str] = {}
    for alias in (identity.account_id, str(numeric_id(identity.account_id)), identity.account):
        aliases.setdefault(alias, own.id)
    for row in rows:
        project = _project(row, names[str(row["id"])], identity)
        projects[project.id] = project
        for alias in (str(row["id"]), str(numeric_id(str(row["id"]))), str(row["name"])):
            aliases.setdefault(alias, project.id)
    for alias in (identity.user_name, identity.user_email):
        aliases.setdefault(alias, own.id)
    aliases.pop("", None)
    return Reach(projects, aliases)


def _project(row: dict[str, Any], name: str, identity: Identity) -> Project:
    return Project(
        id=name,
        name=str(row["name"]),
        cloudstack_id=str(row["id"]),
        account=identity.account,
        domain_id=str(row.get("domainid", identity.domain_id)),
    )


class Projects:
    """The reach of every credential that came by in the last minute."""

    def __init__(self, keyring: Keyring, clock: Callable[[], float] = time.time) -> None:
        self._keyring = keyring
        self._fresh: Expiring[Reach] = Expiring(CACHE_SECONDS, clock)
        self._stale: Expiring[Reach] = Expiring(STALE_SECONDS, clock)
        self._asked: Expiring[bool] = Expiring(MISS_SECONDS, clock)

    def find(self, grant: Grant, text: str) -> Project | None:
        """The project that ``text`` means to the grant's user, or None."""
        own = reach(grant.identity, []).projects.get(text)
        if own is not None:
            return own
        known = self._fresh.get(grant.credential_id)
        found = known.find(text) if known is not None else None
        if found is None and (known is None or self._asked.get(grant.credential_id) is None):
            found = self.all(grant).find(text)
        return found

    def all(self, grant: Grant) -> Reach:
        """Everything the grant reaches, asked of CloudStack now; while it cannot be asked, as last known."""
        try:
            rows = self._keyring.cloud(grant).list("listProjects")
        except (Unavailable, Throttled):
            stale = self._stale.get(grant.credential_id)
            if stale is None:
                raise
            return stale
        except CloudStackError as error:
            if error.code != NOT_PERMITTED:
                raise
            rows = []
        found = reach(grant.identity, rows)
        self._fresh.put(grant.credential_id, found)
        self._stale.put(grant.credential_id, found)
        self._asked.put(grant.credential_id, True)
        return found
