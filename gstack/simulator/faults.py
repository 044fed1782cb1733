"""What can be made to go wrong: a small table of rules that the server and the jobs consult.

Apart, so that the commands stay honest and no test needs to patch them. Surprising: "lose" does the work
and then cuts the connection, which is the one fault that tells a client with idempotent retries from one
without.

kinds: refuse (cut before the work, and for `seconds` nobody listens), cut (before the work), lose (after it),
truncate (the work, then half of the answer), hang (`seconds`, then cut), slow (`seconds`, then answer),
garbage (200 and `text`, which may be empty, instead of the answer), lost-status (the work, then a proxy's
page with `code`, 503 unless told), status (`code` and `text`: 401, 429, 503 …), fail-job (`code` and `text`),
jobless (the job fails without a result), race (the check for a taken name is skipped, as it is when several
deploys arrive at once), no-start (a deploy or a start finds its host unable to start the machine), no-download (what
a registered template is downloaded from answers with `code`, 404 unless told).

A rule may be for calls with certain parameters only: `where={"zoneid": id}`, or None for one that is not given.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

KINDS = frozenset(
    (
        *("refuse", "cut", "lose", "truncate", "hang", "slow", "garbage", "status", "lost-status"),
        *("fail-job", "jobless", "race", "no-start", "no-download"),
    )
)
PAGE = b"<html><body>Bad gateway ahead</body></html>"
TEXTS = {
    401: "unable to verify user credentials and/or request signature",
    429: "The given user has reached his/her account api limit, please retry after [335] ms.",
}


@dataclass(slots=True)
class Fault:
    kind: str
    command: str = "*"
    times: int | None = 1
    after: int = 0
    seconds: float = 0.0
    code: int = 530
    text: str | None = None
    where: Mapping[str, str | None] | None = None
    hits: int = 0

    def fits(self, command: str, given: Mapping[str, str] | None) -> bool:
        """Whether it is for a call of `command` with the parameters `given` (None: that nobody knows)."""
        if not fnmatchcase(command, self.command):
            return False
        return not self.where or (
            given is not None and all(given.get(name) == value for name, value in self.where.items())
        )

    def body(self) -> bytes:
        """What stands in the place of an answer."""
        return PAGE if self.text is None else self.text.encode()


class Faults:
    def __init__(self) -> None:
        self.rules: list[Fault] = []
        self.lock = threading.Lock()

    def add(
        self,
        kind: str,
        command: str = "*",
        times: int | None = 1,
        after: int = 0,
        seconds: float = 0.0,
        code: int = 530,
        text: str | None = None,
        where: Mapping[str, str | None] | None = None,
    ) -> Fault:
        """Add a rule: the next `times` matching calls (None: all), once `after` of them went well, meet
        `kind`. Parameters (`where`) are those of a request; faults of jobs and hosts have none to go by.
        """
        if kind not in KINDS:
            raise ValueError(f"unknown kind of fault {kind!r}; known: {', '.join(sorted(KINDS))}")
        fault = Fault(kind, command, times, after, seconds, code, TEXTS.get(code) if text is None else text, where)
        with self.lock:
            self.rules.append(fault)
        return fault

    def clear(self) -> None:
        with self.lock:
            self.rules.clear()

    def take(self, command: str, *kinds: str, given: Mapping[str, str] | None = None) -> Fault | None:
        """The rule this call of `command` with the parameters `given` meets, used up by one."""
        with self.lock:
            for rule in self.rules:
                if rule.kind not in kinds or not rule.fits(command, given):
                    continue
                if rule.after > 0:
                    rule.after -= 1
                    continue
                rule.hits += 1
                if rule.times is not None:
                    rule.times -= 1
                    if rule.times <= 0:
                        self.rules.remove(rule)
                return rule
        return None
