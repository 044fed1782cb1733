"""One API call as the commands see it: who calls, what they gave, what they may touch.

Apart, so that a command needs nothing but this object. Surprising: administrators too see only their own
objects in a list unless they say `listall` or name one object.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from . import errors, events
from .access import IN_JOB, IN_LIST, OTHER_WORDS
from .apis import Api
from .jobs import Running, Steps, Work
from .model import Account, Entity, Job, Project, Row, User
from .model_network import PublicIp
from .params import Ghost, Value

if TYPE_CHECKING:
    from .simulator import Simulator

E = TypeVar("E", bound=Entity)


class Call:
    def __init__(
        self,
        simulator: Simulator,
        api: Api,
        user: User,
        raw: dict[str, str],
        method: str,
        args: dict[str, Value],
    ) -> None:
        self.simulator = simulator
        self.world = simulator.world
        self.api = api
        self.user = user
        self.account: Account = simulator.world.account[user.account]
        self.raw = raw
        self.method = method
        self.args = args
        self.unchecked: list[object] = []  # what the job is to look at before it does anything
        self.static_nat: dict[str, PublicIp] | None = None  # nic id → its public address, made when needed
        self.data_disks: dict[str, str] | None = None  # machine id → offering of its first data disk, made when needed

    @property
    def is_root(self) -> bool:
        return self.account.type == 1

    def text(self, name: str) -> str | None:
        value = self.args.get(name)
        return value if isinstance(value, str) else None

    def number(self, name: str) -> int | None:
        value = self.args.get(name)
        return value if isinstance(value, int) else None

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.args.get(name)
        return value if isinstance(value, bool) else default

    def words(self, name: str) -> list[str] | None:
        value = self.args.get(name)
        return [item for item in value if isinstance(item, str)] if isinstance(value, list) else None

    def maps(self, name: str) -> list[dict[str, str]]:
        value = self.args.get(name)
        return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []

    def details(self) -> dict[str, str] | None:
        """Free-form details; CloudStack reads index 0 and no other."""
        maps = self.maps("details")
        return dict(maps[0]) if maps else None

    def entity(self, name: str, kind: type[E]) -> E | None:
        """The object a parameter names. One that is gone is refused here, not in the parameter layer."""
        value = self.args.get(name)
        if isinstance(value, Ghost):
            raise errors.removed(value.kind, value.number)
        return value if isinstance(value, kind) else None

    def need(self, name: str, kind: type[E]) -> E:
        found = self.entity(name, kind)
        if found is None:
            raise errors.missing(self.api.name, name)
        if self.api.name in IN_JOB:
            self.unchecked.append(found)
        else:
            self.check_access(found)
        return found

    def entities(self, name: str, kind: type[E]) -> list[E] | None:
        value = self.args.get(name)
        if not isinstance(value, list):
            return None
        for item in value:
            if isinstance(item, Ghost):
                raise errors.removed(item.kind, item.number)
        return [item for item in value if isinstance(item, kind)]

    def rules(self, account: Account) -> bool:
        """Whether the caller administers this account."""
        if self.account.type == 1 or account.id == self.account.id:
            return True
        world = self.world
        path, mine = world.domain[account.domain].path, world.domain[self.account.domain].path
        return self.account.type == 2 and (path == mine or path.startswith(mine + "/"))

    def reaches(self, entity: object) -> bool:
        account = self.world.account_of(entity)
        if account is None or self.rules(account):
            return True
        project = self.world.project.get(account.project)
        return project is not None and self.account.id in project.members

    def check_access(self, entity: object) -> None:
        if not self.reaches(entity):
            raise errors.denied()

    def check_filters(self) -> None:
        for name in IN_LIST.get(self.api.name, ()):
            if isinstance(self.args.get(name), Entity):
                self.check_access(self.args[name])

    def checked(self, work: Work) -> Work:
        """The work behind a look at what `need` left unchecked."""

        def steps() -> Steps:
            if not all(map(self.reaches, self.unchecked)):
                raise errors.ApiError(530, OTHER_WORDS.get(self.api.name, errors.DENIED))
            return (yield from work())

        return steps

    def asks_for_one(self) -> bool:
        return "id" in self.args or "ids" in self.args

    def named_account(self) -> Account | None:
        """The account that `account` and `domainid` name, if the caller may use it."""
        name, domain = self.text("account"), self.args.get("domainid")
        abroad = isinstance(domain, Entity) and domain.id != self.account.domain
        if name is None and abroad and self.account.type == 0:
            me, what = self.described(), "does not have permission to operate within domain"
            raise errors.denied(f"Account Account [{me}] {what} id={getattr(domain, 'id', '')}")
        if name is None:
            return None
        domain_id = domain.id if isinstance(domain, Entity) else self.account.domain
        for account in self.world.account:
            if account.name == name and account.domain == domain_id:
                if not self.rules(account):
                    raise errors.denied()
                return account
        raise errors.invalid(f"Unable to find account {name} in domain {domain_id}")

    def described(self, account: Account | None = None) -> str:
        """How CloudStack prints an account, the caller's if none is given, inside its error texts.

        The uuid in it is a new one each time, as recorded.
        """
        me = account or self.account
        return f'{{"accountName":"{me.name}","id":{me.number},"uuid":"{self.world.uuid()}"}}'

    def owner(self) -> Account:
        """The account that owns what this call makes."""
        project = self.entity("projectid", Project)
        if project is not None:
            self.check_access(project)
            return self.world.account[project.account]
        if self.text("account") is not None and "domainid" not in self.args:
            raise errors.invalid("AccountName and domainId must be specified together")
        return self.named_account() or self.account

    def submit(
        self,
        work: Work,
        target: Entity | None = None,
        key: str | None = None,
        on_failure: Callable[[], None] | None = None,
    ) -> Job:
        """Queue a job about `target`; jobs with the same `key` (by default the target) run one after the
        other.
        """
        world = self.world
        job = Job(
            id=world.uuid(),
            number=world.job.take_number(),
            command=self.api.name,
            user=self.user.id,
            account=self.account.id,
            created=world.now(),
            instance=target.id if target is not None and self.api.has_instance_id else None,
            target=target.id if target is not None else None,
        )
        started = events.scheduled(self, target)

        def done(job: Job) -> None:
            events.completed(self, target, started, job.status == 1)

        if self.unchecked:
            work = self.checked(work)
        running = Running(job, work, key or (target.id if target else job.id), done, None, on_failure)
        return self.simulator.jobs.submit(running)

    def later(self, work: Work, target: Entity | None = None, key: str | None = None) -> Row:
        return {"jobid": self.submit(work, target, key).id}

    def mark(self, row: Row, target: str) -> Row:
        return self.simulator.jobs.mark(row, target)
