"""Replays recorded CloudStack calls against the simulator and says where the two differ.

Apart from the test, so that it can be run by hand while writing an area. Surprising: time is the
recording's, not the clock's: a line that polls a pending job is asked at once, one that polls a finished
job after the clock was turned on.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field

from bulk import shortened
from excuses import FLEETING, NUMBERS, RANDOM_ACCOUNT, SHAPED, UNLIKE, UNLIKE_IN, UNORDERED, UNORDERED_IN
from prologue import AT, BEFORE, CHOSEN, FIRST, HOLD, PREPARE, WRONGLY_SIGNED
from prologue_steps import Step, public_key, read

from gstack.simulator import Simulator, sign
from gstack.simulator.registry import COMMANDS

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.I)
CALLERS = {"user": "tenant", "user2": "other", "admin": "admin", "dom": "acme-admin", "bulk": "bulk"}
HEXADECIMAL = re.compile(r"[0-9a-f]+")
ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b(?!/)")
STATE = re.compile(r"(?:^|[/ ])state ")
RACE = re.compile(r"(race: .*) #\d+")
REDACTED = "REDACTED-APIKEY"  # stands in the recordings for the key of their user
JOBS = re.compile(r'"jobid": "([0-9a-f-]{36})"')


@dataclass
class Report:
    replayed: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    differing: dict[str, str] = field(default_factory=dict)
    # By line number: why it was not replayed, and what came of those that were.
    unreplayed: dict[int, str] = field(default_factory=dict)
    outcomes: dict[int, str | None] = field(default_factory=dict)
    needless: list[str] = field(default_factory=list)
    total: int = 0


class Clock:
    def __init__(self) -> None:
        self.now = 1_795_253_000.0

    def __call__(self) -> float:
        return self.now


class Replay:
    """One area on one fresh simulator. Ids are learned by walking a recorded and a fresh answer side by
    side.
    """

    def __init__(self, area: str, settings: dict[str, object] | None = None) -> None:
        self.area = area
        self.clock = Clock()
        self.simulator = Simulator(job_seconds=1.0, clock=self.clock, seed=1, settings=settings)
        self.ids: dict[str, str] = {}
        self.addresses: dict[str, str] = {}  # recorded address → that of the same object here, for texts that name one
        self.lines = read(area)
        self.final = {}
        for number, line in enumerate(self.lines):
            jobid = (line.get("request") or {}).get("jobid")
            if jobid:
                self.final[jobid] = number
        self.open: dict[str, int] = {}
        self.ordered = True  # whether the line at hand tells an order of rows that can be had again
        self.report = Report()

    def first(self) -> None:
        """Make what was there before the first line."""
        for made in FIRST.get(self.area, ()):
            self.make(made)

    def prepare(self, wanted: str | None = None) -> None:
        """Make what the recorder had made unrecorded, under ids that this replay then knows.

        At first only what has no id to be named by; the rest right before the first line that names it.
        """
        for who, command, params, learned in PREPARE.get(self.area, ()):
            if wanted in learned or (wanted is None and (not learned or command == "createSecurityGroup")):
                self.make((who, command, params, learned))

    def make(self, made: Step) -> None:
        who, command, params, learned = made
        self.make_known(" ".join(params.values()))
        if "publickey" in params:
            params = {**params, "publickey": public_key(params["publickey"])}
        told = {key: self.translate(value) for key, value in params.items()}
        status, body = self.call(CALLERS[who], "POST", {**told, "command": command, "response": "json"})
        assert status == 200, body
        self.clock.now += 10
        for recorded, path in learned.items():
            found: object = next(iter(body.values()))
            for part in path.split("."):
                found = found[int(part)] if part.isdecimal() else found[part]
            self.ids[recorded] = found

    def call(self, who: str, method: str, params: dict[str, str], wrongly: bool = False) -> tuple[int, object]:
        key, secret = self.simulator.keys(who)
        raw = {**params, "apiKey": key}
        raw["signature"] = sign({**raw, "schedule": "%2A"} if wrongly else raw, secret)
        answer = self.simulator.answer(method, raw)
        try:
            return answer.status, json.loads(answer.body)
        except ValueError:
            return answer.status, {"_raw": answer.body.decode()}

    def translate(self, text: str) -> str:
        return UUID.sub(lambda match: self.ids.get(match[0].lower(), match[0]), text)

    def make_known(self, value: str) -> None:
        for found in UUID.findall(value):
            if found.lower() not in self.ids and not self.exists(found):
                self.prepare(found.lower())

    def known(self, value: str) -> bool:
        self.make_known(value)
        return all(
            found.lower() in self.ids or found.startswith("11111111") or self.exists(found)
            for found in UUID.findall(value)
        )

    def exists(self, uuid: str) -> bool:
        return any(uuid.lower() in table.rows for table in self.simulator.world.tables().values())

    def why_not(self, line: dict) -> str | None:
        request = line.get("request") or {}
        command = request.get("command")
        if line.get("as") not in CALLERS or not command or "_line" in request:
            return "not a plain call"
        if line["status"] == 432 or line["status"] == 401:
            return None
        if command not in COMMANDS:
            return f"not implemented: {command}"
        if not all(self.known(str(value)) for name, value in request.items() if name not in CHOSEN):
            return "names an object that was not made in this replay"
        return None

    def run(self, listed: dict[str, str]) -> Report:
        self.first()
        self.prepare()
        self.report.total = len(self.lines)
        excused: dict[str, bool] = {}
        for number, line in enumerate(self.lines):
            if number in self.report.outcomes:
                continue  # of a race
            for made in AT.get((self.area, line["name"]), ()):
                self.make(made)
            reason = self.why_not(line)
            if reason:
                self.report.skipped[reason] += 1
                self.report.unreplayed[number] = reason
                continue
            at_once = self.race_of(number)
            self.report.outcomes |= self.race(at_once) if at_once else {number: self.step(number, line)}
            for asked in at_once or [number]:
                self.report.replayed += 1
                difference, name = self.report.outcomes[asked], self.lines[asked]["name"]
                if name in listed:
                    excused[name] = excused.get(name, False) or difference is not None
                elif difference:
                    self.report.differing[f"{self.area}:{asked}:{name}"] = difference
        self.report.needless = [name for name in listed if not excused.get(name)]
        return self.report

    def race_of(self, number: int) -> list[int]:
        """This line and those after it that were sent at the same moment; nothing if it was sent alone."""
        found = RACE.fullmatch(self.lines[number]["name"])
        together = [n for n, line in enumerate(self.lines) if found and line["name"].startswith(f"{found[1]} #")]
        return together if len(together) > 1 else []

    def race(self, numbers: list[int]) -> dict[int, str | None]:
        """Which call of a race gets which answer is nobody's choice: as many of each kind as recorded are equal."""
        found = RACE.fullmatch(self.lines[numbers[0]]["name"])
        assert found
        self.clock.now += 10
        before = BEFORE.get((self.area, found[1]))
        if before:
            before(self.simulator)
        answers = [self.ask(self.lines[number]) for number in numbers]
        outcomes: dict[int, str | None] = {}
        for number in numbers:
            line = self.lines[number]
            alike = next((one for one in answers if one[0] == line["status"]), None)
            if alike is None:
                outcomes[number] = f"no answer left of status {line['status']}: {[status for status, _ in answers]}"
                continue
            answers.remove(alike)
            outcomes[number] = self.judge(line, *alike)
        return outcomes

    def ask(self, line: dict) -> tuple[int, object]:
        params = {key: self.translate(str(value)) for key, value in line["request"].items()}
        if REDACTED in params.values():
            key, _ = self.simulator.keys(CALLERS["user"])
            params = {name: key if value == REDACTED else value for name, value in params.items()}
        wrongly = (self.area, line["name"]) in WRONGLY_SIGNED
        return self.call(CALLERS[line["as"]], line["method"], params, wrongly)

    def step(self, number: int, line: dict) -> str | None:
        name = line["name"]
        self.open = {job: last for job, last in self.open.items() if last > number}
        if name.endswith("/job-final") or ("/" not in name and not self.open and (self.area, name) not in HOLD):
            self.clock.now += 10
        before = BEFORE.get((self.area, name))
        if before:
            before(self.simulator)
        status, body = self.ask(line)
        wanted = rows_of(line["response"])
        if STATE.search(name):
            for _ in range(60):
                got = rows_of(body)
                if [row.get("state") for row in got[:1]] == [row.get("state") for row in wanted[:1]]:
                    break
                self.clock.now += 0.05
                status, body = self.ask(line)
        for job in JOBS.findall(json.dumps(line["response"])):
            if self.final.get(job, -1) > number:
                self.open[job] = self.final[job]
        return self.judge(line, status, body)

    def judge(self, line: dict, status: int, body: object) -> str | None:
        if status != line["status"]:
            bodies = f"{str(body)[:200]} | {str(line['response'])[:200]}"
            return f"status {status}, recorded {line['status']}: {bodies}"
        self.learn(line["response"], body)
        self.ordered = (self.area, line["name"]) not in UNORDERED_IN
        return self.compare(line["response"], shortened(line["response"], body), "")

    def learn(self, recorded: object, fresh: object) -> None:
        if isinstance(recorded, dict) and isinstance(fresh, dict):
            for key, value in recorded.items():
                if key in fresh:
                    self.learn(value, fresh[key])
                if key == "ipaddress" and key in fresh:
                    self.addresses.setdefault(str(value), str(fresh[key]))
            return
        if isinstance(recorded, list) and isinstance(fresh, list):
            for one, other in self.pairs(recorded, fresh):
                self.learn(one, other)
        elif (
            isinstance(recorded, str) and isinstance(fresh, str) and UUID.fullmatch(recorded) and UUID.fullmatch(fresh)
        ):
            self.ids.setdefault(recorded, fresh)

    def pairs(self, recorded: list, fresh: list) -> list[tuple[object, object]]:
        """Rows that mean the same object: by id, by key or name, else by position. None means two."""
        by: dict[object, list[dict]] = {}
        for row in fresh:
            if isinstance(row, dict):
                for key in ("id", "ruleid", "key", "name"):
                    if isinstance(row.get(key), str):
                        by.setdefault((key, row[key]), []).append(row)
        pairs, taken = [], set()
        for position, row in enumerate(recorded):
            found: list[dict] = []
            if isinstance(row, dict):
                for key in ("id", "ruleid", "key", "name"):
                    value = row.get(key)
                    if isinstance(value, str):
                        same = by.get((key, self.ids.get(value, value)), [])
                        found = found or [one for one in same if id(one) not in taken]
            # One row a zone or an account, of the same id or name: the one most like it.
            match = max(found, key=lambda one: self.likeness(row, one)) if found else None
            if match is None and position < len(fresh) and len(recorded) == len(fresh):
                match = fresh[position]
            if match is not None:
                taken.add(id(match))
                pairs.append((row, match))
        return pairs

    def likeness(self, recorded: dict, fresh: dict) -> int:
        return sum(fresh.get(key) in (value, self.ids.get(str(value))) for key, value in recorded.items())

    def compare(self, recorded: object, fresh: object, path: str) -> str | None:
        if isinstance(recorded, dict) and isinstance(fresh, dict):
            return self.compare_objects(recorded, fresh, path)
        if isinstance(recorded, list) and isinstance(fresh, list):
            if len(recorded) != len(fresh):
                return f"{path}: {len(fresh)} rows, recorded {len(recorded)}"
            pairs = self.pairs(recorded, fresh)
            for one, other in pairs:
                difference = self.compare(one, other, f"{path}[]")
                if difference:
                    return difference
            return self.compare_order(pairs, fresh, path)
        if type(recorded) is not type(fresh) and not {type(recorded), type(fresh)} <= {int, float}:
            return f"{path}: {type(fresh).__name__}, recorded {type(recorded).__name__}"
        name = path.rsplit(".", 1)[-1].removesuffix("[]")
        if name in ("errortext", "details") and isinstance(recorded, str) and isinstance(fresh, str):
            return self.compare_texts(recorded, fresh)
        if name in SHAPED and isinstance(recorded, str) and isinstance(fresh, str):
            same = HEXADECIMAL.sub("0", recorded) == HEXADECIMAL.sub("0", fresh)
            return None if same else f"{path}: {fresh!r} is not made like {recorded!r}"
        if name in UNLIKE or (path.split(".")[1], name) in UNLIKE_IN:
            return None
        told = self.translate(recorded) if isinstance(recorded, str) else recorded
        if fresh in (recorded, told) or (
            isinstance(told, str) and NUMBERS.sub("#", told) == NUMBERS.sub("#", str(fresh))
        ):
            return None
        return f"{path}: {fresh!r}, recorded {recorded!r}"

    def compare_order(self, pairs: list[tuple[object, object]], fresh: list, path: str) -> str | None:
        if not self.ordered or path in UNORDERED:
            return None
        places = {id(row): place for place, row in enumerate(fresh) if isinstance(row, dict)}
        order = [places[id(row)] for _, row in pairs if id(row) in places]
        return None if order == sorted(order) else f"{path}: rows in another order, {order}"

    def compare_objects(self, recorded: dict, fresh: dict, path: str) -> str | None:
        name = path.rsplit(".", 1)[-1]
        if name == "details":
            recorded = {key: value for key, value in recorded.items() if key != "Encrypted.Password"}
            fresh = {key: value for key, value in fresh.items() if key != "Encrypted.Password"}
            return None if recorded == fresh else f"{path}: {fresh}, recorded {recorded}"
        absent = {key for key in recorded if key not in fresh} - FLEETING
        extra = {key for key in fresh if key not in recorded} - FLEETING
        if absent or extra:
            return f"{path}: lacks {sorted(absent)}, adds {sorted(extra)}"
        for key in recorded:
            if key in fresh:
                difference = self.compare(recorded[key], fresh[key], f"{path}.{key}")
                if difference:
                    return difference
        return None

    def compare_texts(self, recorded: str, fresh: str) -> str | None:
        if "is not available for the account for user id" in recorded:
            recorded, fresh = UUID.sub("~", recorded), UUID.sub("~", fresh)
        recorded, fresh = RANDOM_ACCOUNT.sub(r"\1~", recorded), RANDOM_ACCOUNT.sub(r"\1~", fresh)
        recorded, fresh = self.translate(NUMBERS.sub("#", recorded)), NUMBERS.sub("#", fresh)
        recorded = ADDRESS.sub(lambda match: self.addresses.get(match[0], match[0]), recorded)
        return None if recorded == fresh else f"errortext {fresh!r}, recorded {recorded!r}"


def rows_of(body: object) -> list[dict]:
    if isinstance(body, dict) and len(body) == 1:
        inner = next(iter(body.values()))
        if isinstance(inner, dict):
            return next((value for value in inner.values() if isinstance(value, list)), [])
    return []
