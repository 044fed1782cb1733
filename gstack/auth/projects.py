"""From the project of a URL to the CloudStack account or project behind it.

Apart from the guard because it is the one place that decides what a credential reaches: whatever CloudStack
shows this very user; everything else, existing or not, is one and the same "not found". The surprising
thing: CloudStack's names are unique within a domain only, but what gstack keeps is kept by project id; so an
id, once given, belongs to one owner, and the second owner of a name gets an id with a suffix.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from gstack.auth.expiring import Expiring
from gstack.auth.grant import Grant
from gstack.auth.identity import NOT_PERMITTED, Identity
from gstack.auth.keyring import Keyring
from gstack.cloudstack.errors import CloudStackError, Throttled, Unavailable
from gstack.protocol.ids import numeric_id
from gstack.store.credentials import ProjectId
from gstack.store.db import own_session
from gstack.translate.caller import Project
from gstack.translate.images import PUBLIC_PROJECTS
from gstack.translate.names import LONGEST, label

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


def reach(identity: Identity, rows: list[dict[str, Any]], ids: dict[str, str]) -> Reach:
    """The reach of a user to whom CloudStack shows the projects ``rows`` (of listProjects); ``ids`` gives
    the GCE project id of every UUID. Spellings of the account come before those of projects, names of the
    user last.
    """
    own = Project(
        id=ids[identity.account_id],
        name=identity.account,
        cloudstack_id=None,
        account=identity.account,
        domain_id=identity.domain_id,
        number=str(numeric_id(identity.account_id)),
    )
    projects = {own.id: own}
    spellings = [(spelling, own.id) for spelling in _spellings(identity.account_id, identity.account)]
    for row in rows:
        project = Project(
            id=ids[str(row["id"])],
            name=str(row["name"]),
            cloudstack_id=str(row["id"]),
            account=identity.account,
            domain_id=str(row.get("domainid", identity.domain_id)),
            number=str(numeric_id(str(row["id"]))),
        )
        projects[project.id] = project
        spellings += [(spelling, project.id) for spelling in _spellings(str(row["id"]), project.name)]
    spellings += [(identity.user_name, own.id), (identity.user_email, own.id)]
    return Reach(projects, {spelling: found for spelling, found in reversed(spellings) if spelling})


def _spellings(uuid: str, name: str) -> tuple[str, ...]:
    return uuid, str(numeric_id(uuid)), name


def project_ids(owners: dict[str, str]) -> dict[str, str]:
    """The GCE project ids of accounts and projects (UUID to CloudStack's name), by UUID. Who comes first
    with a name has it as id for good; the names of public image projects belong to nobody."""
    with own_session() as session:
        rows = session.scalars(select(ProjectId).where(ProjectId.owner.in_(owners))).all()
    known = {row.owner: row.id for row in rows}
    return {owner: known.get(owner) or _claim(owner, name) for owner, name in owners.items()}


def _claim(owner: str, name: str) -> str:
    for candidate in _candidates(owner, name):
        with own_session() as session:
            session.add(ProjectId(id=candidate, owner=owner))
            try:
                session.commit()
                return candidate
            except IntegrityError:  # taken by another owner, or by another process for this one
                session.rollback()
            row = session.scalar(select(ProjectId).where(ProjectId.owner == owner))
            if row is not None:
                return row.id
    raise RuntimeError(f"no project id is free for {owner}")


def _candidates(owner: str, name: str) -> Iterator[str]:
    plain = label(name)
    if plain not in PUBLIC_PROJECTS:
        yield plain
    digits = "".join(character for character in owner.lower() if character.isalnum())
    for length in (8, 16, len(digits)):
        yield f"{plain[: LONGEST - 1 - length].rstrip('-')}-{digits[:length]}"


class Projects:
    """The reach of every credential that came by in the last minute."""

    def __init__(self, keyring: Keyring, clock: Callable[[], float] = time.time) -> None:
        self._keyring = keyring
        self._fresh: Expiring[Reach] = Expiring(CACHE_SECONDS, clock)
        self._stale: Expiring[Reach] = Expiring(STALE_SECONDS, clock)
        self._asked: Expiring[bool] = Expiring(MISS_SECONDS, clock)
        self._own: Expiring[Project] = Expiring(STALE_SECONDS, clock)

    def find(self, grant: Grant, text: str) -> Project | None:
        """The project that ``text`` means to the grant's user, or None."""
        own = self.account(grant)
        if text == own.id:
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
            self._fresh.put(grant.credential_id, stale)  # so that not every request waits for a timeout
            return stale
        except CloudStackError as error:
            if error.code != NOT_PERMITTED:
                raise
            rows = []
        owners = {grant.identity.account_id: grant.identity.account}
        owners |= {str(row["id"]): str(row["name"]) for row in rows}
        found = reach(grant.identity, rows, project_ids(owners))
        self._fresh.put(grant.credential_id, found)
        self._stale.put(grant.credential_id, found)
        self._asked.put(grant.credential_id, True)
        return found

    def account(self, grant: Grant) -> Project:
        """The account's own project, for which CloudStack need not be asked."""
        own = self._own.get(grant.identity.account_id)
        if own is None:
            ids = project_ids({grant.identity.account_id: grant.identity.account})
            own = next(iter(reach(grant.identity, [], ids).projects.values()))
            self._own.put(grant.identity.account_id, own)
        return own
