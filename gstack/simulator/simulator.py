"""The embedded CloudStack: takes a signed request, answers as the recorded management server did.

This file is the request pipeline, top to bottom; everything it calls has a file of its own. Surprising: a
request first lets all job steps that are due happen, so a Simulator needs no thread and can be driven by a
clock of a test's own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from . import areas, envelope, errors, events, packets, signing, world
from .apis import Api, load_apis
from .areas import (
    autoscale_monitor,
    guest_networks,
    machines_lifecycle,
    project_roles,
    schedule_clock,
    snapshot_clock,
    template_registry,
)
from .call import Call
from .errors import ApiError
from .faults import Faults
from .jobs import Jobs
from .model import User
from .names import for_domain_admins
from .params import Checker, reject_control_characters
from .registry import COMMANDS
from .seed import plant
from .sessions import Sessions
from .settings import Settings
from .throttle import Throttle

areas.load()

OF_ANSWERS = ("refuse", "cut", "hang", "slow", "garbage", "status", "lose", "lost-status", "truncate")
DOMAIN_ADMIN_EXTRA = for_domain_admins()


class Cut(ConnectionError):
    """The connection ends here without an answer; what was done stays done. For `refused` seconds no other follows."""

    def __init__(self, kind: str, refused: float = 0.0) -> None:
        super().__init__(kind)
        self.refused = refused


@dataclass(slots=True)
class Answer:
    status: int
    content_type: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    cookies: list[str] = field(default_factory=list)
    whole: bool = True  # otherwise the connection ends in the middle of the body


class Simulator:
    def __init__(
        self,
        job_seconds: float = 0.3,
        state_dir: str | Path | None = None,
        clock: Callable[[], float] = time.time,
        seed: int | None = None,
        settings: Mapping[str, object] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        zones: Iterable[str] | None = None,
        extras: bool = False,
    ) -> None:
        self.settings = Settings()
        self.settings.update(settings or {})
        self.world = world.World(clock, seed)
        self.faults = Faults()
        self.jobs = Jobs(self.world, self.faults, job_seconds)
        self.sessions = Sessions(self.world)
        self.throttle = Throttle(self.world, self.settings)
        self.lock = threading.RLock()
        self.sleep = sleep
        self.measured: dict[tuple[str, str], tuple[float, float]] = {}  # group, counter → value, since when
        self.roots: dict[str, str] = {}  # machine id → id of its root volume
        self.apis = load_apis()
        self.state_file = Path(state_dir) / "cloudstack.json" if state_dir else None
        plant(self.world, zones, extras)
        if self.state_file:
            self.state_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.state_file.exists():
                world.load(self.world, self.state_file)
                machines_lifecycle.after_crash(self)
            self.save()

    @property
    def job_seconds(self) -> float:
        return self.jobs.job_seconds

    @job_seconds.setter
    def job_seconds(self, seconds: float) -> None:
        self.jobs.job_seconds = seconds

    def keys(self, name: str) -> tuple[str, str]:
        """API key and secret key of a user: tenant, other, acme-admin or admin."""
        for user in self.world.user:
            if user.name == name and user.api_key and user.secret_key:
                return user.api_key, user.secret_key
        raise LookupError(f"no user {name!r} with keys")

    def save(self) -> None:
        if self.state_file:
            world.save(self.world, self.state_file)

    def settle(self) -> None:
        """Let every job step happen that is due by now."""
        with self.lock:
            self.jobs.advance()
            machines_lifecycle.expunge_due(self)
            autoscale_monitor.tend(self)
            guest_networks.collect(self)
            template_registry.download(self)
            snapshot_clock.tend(self)
            schedule_clock.tend(self)

    def reaches(
        self,
        source: str,
        destination: str,
        protocol: str = "tcp",
        port: int | None = None,
        icmp: tuple[int, int] = (8, 0),
    ) -> packets.Verdict:
        """Whether the first packet of a connection arrives, by the rules that are in force now.

        Each end is an address, as seen from the other one, or the id of a machine, which stands for its nic on the
        network of the other end or else its default one. So from outside an isolated network or a VPC the destination
        is a public address: a machine's id is its inner address, which nobody outside can reach. `protocol`: tcp, udp,
        icmp or a number; `port`: the destination's; `icmp`: type and code. The verdict is true or false, names the
        machines that get the packet and says why. Raises ValueError for what is no packet.
        """
        with self.lock:
            self.settle()
            return packets.ask(self.world, source, destination, protocol, port, icmp)

    def measure(self, group: str, counter: str, value: float) -> None:
        """What a counter reads for an AutoScale group from now on. `group`: its id; `counter`: as `value` in
        listCounters, such as `cpu`; the group's policies act on it as time passes.
        """
        with self.lock:
            before = self.measured.get((group, counter))
            if before is None or before[0] != value:
                self.measured[group, counter] = (value, self.world.now())

    def do(self, who: str, command: str, **params: object) -> dict[str, Any]:
        """Call a command as a named user without HTTP or signature; returns the parsed body under the
        wrapper.
        """
        key, secret = self.keys(who)
        raw = {name: str(value) for name, value in params.items()}
        raw.update(command=command, response="json", apiKey=key)
        raw["signature"] = signing.sign(raw, secret)
        return next(iter(orjson.loads(self.answer("POST", raw).body).values()))

    def answer(self, method: str, raw: Mapping[str, str], cookie: str | None = None) -> Answer:
        """The whole of one request. `raw` holds decoded parameters from query and body, the signature
        among them; `cookie` is the one that a login set.
        """
        name = raw.get("command", "")
        fault = self.faults.take(name, *OF_ANSWERS, given=raw)
        if fault and fault.kind in ("hang", "slow"):
            self.sleep(fault.seconds)
        if fault and fault.kind in ("refuse", "cut", "hang"):
            raise Cut(fault.kind, fault.seconds if fault.kind == "refuse" else 0.0)
        if fault and fault.kind == "garbage":
            return Answer(200, "text/html;charset=utf-8", fault.body())
        if fault and fault.kind == "status":
            cs = None if fault.code == 401 else 9999
            return self.render_error(raw, ApiError(fault.code, fault.text or "", cs), None)
        with self.lock:
            answer = self.enter(raw, cookie) if name in ("login", "logout") else self.run(method, raw, cookie)
        if fault and fault.kind == "lose":
            raise Cut("lose")
        if fault and fault.kind == "lost-status":
            return Answer(503 if fault.code == 530 else fault.code, "text/html;charset=utf-8", fault.body())
        if fault and fault.kind == "truncate":
            answer.whole = False
        return answer

    def enter(self, raw: Mapping[str, str], cookie: str | None) -> Answer:
        """Logging in and out, which no signature comes with."""
        try:
            body, cookies = (
                self.sessions.login(raw) if raw["command"] == "login" else (self.sessions.logout(cookie), [])
            )
        except ApiError as error:
            return self.render_error(raw, error, None)
        kind, content = envelope.render(raw["command"] + "response", body, is_json(raw))
        return Answer(200, kind, content, cookies=cookies)

    def run(self, method: str, raw: Mapping[str, str], cookie: str | None = None) -> Answer:
        user: User | None = None
        changed = True
        try:
            self.settle()
            user = self.authenticate(raw, cookie)
            self.throttle.count(self.world.account[user.account])
            api = self.authorize(raw["command"], user)
            command = COMMANDS[api.name]
            changed = not command.reads or self.jobs.changed
            self.check_method(api, method)
            reject_control_characters(raw)
            is_root = self.world.account[user.account].type == 1
            args = Checker(self.world, api, command.id_kind, raw, is_root).read()
            call = Call(self, api, user, dict(raw), method, args)
            project_roles.check(call)
            call.check_filters()
            body = command.handler(call)
            assert command.reads or api.is_async == ("jobid" in body), api.name
            if not command.reads and not api.is_async:
                events.emit(call, None, "Completed")
            kind, content = envelope.render(api.wrapper, body, is_json(raw))
            return Answer(200, kind, content)
        except ApiError as error:
            return self.render_error(raw, error, user)
        finally:
            if changed:
                self.jobs.changed = False
                self.save()

    def authenticate(self, raw: Mapping[str, str], cookie: str | None = None) -> User:
        """The user whose key signed this, or who logged in. An unknown command is refused in the very same
        words as a bad signature.
        """
        key = next((value for name, value in raw.items() if name.lower() == "apikey"), "")
        signature = raw.get("signature", "")
        logged_in = None if key or signature else self.sessions.user(cookie, raw)
        if logged_in is not None and raw.get("command") in self.apis:
            return logged_in
        user = self.world.users_by_key.get(key)
        if user is None or not user.secret_key or user.state != "enabled" or raw.get("command") not in self.apis:
            raise errors.unauthorized()
        if self.world.account[user.account].state != "enabled":
            raise errors.unauthorized()
        if not signing.verify(raw, user.secret_key, signature) or not self.in_time(raw):
            raise errors.unauthorized()
        return user

    def in_time(self, raw: Mapping[str, str]) -> bool:
        version = next((value for name, value in raw.items() if name.lower() == "signatureversion"), None)
        enforced = self.settings.flag("enforce.post.requests.and.timestamps")
        if version != "3":
            return not enforced
        expires = signing.parse_expires(raw.get("expires", ""))
        now = self.world.now()
        return expires is not None and expires >= now and not (enforced and expires > now + 15 * 60)

    def authorize(self, name: str, user: User) -> Api:
        """A command this role lacks and one that this simulator lacks look the same to the caller."""
        api = self.apis[name]
        if name not in COMMANDS or not self.may(user, api):
            raise errors.unavailable(name, self.world.uuid())
        return api

    def may(self, user: User, api: Api) -> bool:
        kind = self.world.account[user.account].type
        return api.for_users or kind == 1 or (kind == 2 and api.name in DOMAIN_ADMIN_EXTRA)

    def check_method(self, api: Api, method: str) -> None:
        reads = api.name.startswith(("list", "get", "query"))
        if self.settings.flag("enforce.post.requests.and.timestamps") and method == "GET" and not reads:
            text = f"State changing command {api.name} needs to be sent using POST request"
            raise ApiError(400, text, 9999)

    def render_error(self, raw: Mapping[str, str], error: ApiError, user: User | None) -> Answer:
        name = raw.get("command")
        api = self.apis.get(name or "")
        wrapper = "null" if name is None else api.wrapper if api else "errorresponse"
        if error.code == 432:
            wrapper = "errorresponse"
        is_root = user is not None and self.world.account[user.account].type == 1
        kind, content = envelope.render_error(wrapper, error, is_root, is_json(raw))
        text = error.text_for(is_root).encode("ascii", "replace").decode().replace("\n", " ").replace("\r", " ")
        # Refused before any command was looked at: the header is missing, as the `cserrorcode` is.
        return Answer(error.code, kind, content, {} if error.cs is None else {"X-Description": text})


def is_json(raw: Mapping[str, str]) -> bool:
    return raw.get("response", "").lower() == "json"
