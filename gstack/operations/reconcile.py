"""What an operator sees and mends by hand: firewall rules and balancers that are not as they should be; operations that
wait.

Apart from the workflows, which bring the same rules in line after every change; this is for what other tools changed
since. The surprising thing: it needs no gateway running, only the store and CloudStack, and may run beside one, because
the enforcers look before they act and look again afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import select

from gstack.cloudstack.client import Cloud
from gstack.cloudstack.errors import Unauthorized
from gstack.errors import GceError
from gstack.firewall import isolated, security_groups, tiers
from gstack.firewall.plan import wanted
from gstack.firewall.writer import Command, Writer, differences
from gstack.operations import balancing as balancers
from gstack.operations.runtime import Services
from gstack.store import overlay
from gstack.store.credentials import Credential
from gstack.store.db import own_session
from gstack.translate import balancing, kept
from gstack.translate.caller import Project


@dataclass(frozen=True)
class Scope:
    """An account, or a CloudStack project of one, with a way to CloudStack. ``name`` is for people; ``owner`` as rows
    of the store name theirs; ``trouble`` why nothing more is known of an account."""

    name: str
    cloud: Cloud
    owner: Project
    trouble: GceError | None = None

    @property
    def balanced(self) -> list[Project]:
        """The GCE projects of the owner in which the store keeps forwarding rules: one, unless it was renamed."""
        ids = overlay.projects(balancing.RULES)
        found = [replace(self.owner, id=one) for one in sorted(ids)]
        return [project for project in found if kept.rows(project, balancing.RULES)]


def scopes(services: Services) -> Iterator[Scope]:
    """Every account that has a live credential, and the projects that it reaches; each once. In an application
    context. Accounts whose credentials CloudStack refuses are left out; one that cannot be asked is in ``trouble``."""
    with own_session() as session:
        query = select(Credential).where(Credential.revoked_at.is_(None)).order_by(Credential.verified_at.desc())
        rows = list(session.scalars(query))
    seen: set[str] = set()
    for row in rows:
        account = Project("", row.account, None, row.account, row.domain_id)
        cloud = services.cloud_for(row.id, account) if row.account_id not in seen else None
        if cloud is None:
            continue
        projects, trouble = [], None
        try:
            projects = cloud.list("listProjects")
        except Unauthorized:
            continue  # another credential of the account may do
        except GceError as error:
            trouble = error
        seen.add(row.account_id)
        yield Scope(f"account {row.domain_path}/{row.account}", cloud, account, trouble)
        for project in projects:
            if project["id"] not in seen:
                seen.add(project["id"])
                owner = replace(account, name=project["name"], cloudstack_id=project["id"])
                yield Scope(f"project {project['name']}", cloud.within(project["id"]), owner)


def drift(cloud: Cloud, balanced: Sequence[Project] = ()) -> tuple[list[Command], list[str]]:
    """The commands that would bring the rules in line, and the balancers of some projects, none where they are; and in
    sentences which balancers are left alone, as they are not this gateway's. Reads only."""
    state = security_groups.read(cloud)
    authorize, revoke = differences(state.groups, wanted(state)[0])
    there = isolated.existing(cloud)
    world, vpcs = isolated.read(cloud, state.groups, there), tiers.read(cloud, state.groups, there)
    phases = [*(world.changes() if world else ()), *(vpcs.changes() if vpcs else ())]
    worlds = [found for project in balanced if (found := balancers.read(cloud, project)) is not None]
    phases += [phase for found in worlds for phase in found.changes()]
    said = {sentence for found in worlds for sentence in found.wanted()[1]}
    fronts = {rule["body"]["IPAddress"] for found in worlds for rule in found.rules}
    commands = [*authorize, *revoke, *(command for phase in phases for command in phase)]
    return commands, [*sorted(said), *balancers.strays(cloud, fronts)]


def mend(cloud: Cloud, balanced: Sequence[Project] = ()) -> list[str]:
    """Bring the rules in line, as :func:`drift`; in sentences what CloudStack cannot say. Raises what it refused."""
    writer = Writer(cloud, time.sleep)
    sentences = [sentence for project in balanced for sentence in balancers.bring(writer, project)]
    return [*sentences, *security_groups.bring(writer)]


def said(command: Command) -> str:
    """A command in one line."""
    name, params = command
    return " ".join([name, *(f"{key}={_text(value)}" for key, value in params.items() if value is not None)])


def _text(value: object) -> str:
    return ",".join(map(_text, value)) if isinstance(value, list) else str(value)
