"""The whole of the recordings against the simulator, counted; docs/witness.md is what came out.

Apart from test_replay.py, which says line by line what differs: here it is counted, and what cannot be replayed
counts against the simulator. The surprising thing: the page is compared with what the replay finds, so a line that
is answered better from now on fails this test until ``make witness`` was run.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from excuses import KNOWN, NUMBERS, UNREPLAYED
from prologue_steps import FOLDER, read
from replay import UUID, Replay
from test_enforcement import replay_all
from test_raw_transport import STATES, Client, ask_closed, compare
from test_replay import SENT_ELSEWHERE

PAGE = Path(__file__).parents[2] / "docs" / "witness.md"
AIM = 97
Case = tuple[str, str, str]


@dataclass
class Area:
    """What came of each recorded line, by its number."""

    lines: list[dict]
    outcomes: dict[int, str | None] = field(default_factory=dict)
    unreplayed: dict[int, str] = field(default_factory=dict)

    @property
    def differing(self) -> list[int]:
        return [number for number, difference in self.outcomes.items() if difference]

    def cases(self) -> dict[Case, bool]:
        """Each case and whether every line of it was answered as recorded; one left out was not."""
        started: dict[str, str] = {}
        equal: dict[Case, bool] = {}
        for number, line in enumerate(self.lines):
            case = case_of(line, started)
            if case:
                same = number in self.outcomes and self.outcomes[number] is None
                equal[case] = equal.get(case, True) and same
        return equal


def command_of(line: dict) -> str:
    request = line.get("request") or {}
    if request.get("command"):
        return str(request["command"])
    sent = f"{request.get('_line', '').partition('?')[2]}&{request.get('_body') or ''}"
    return parse_qs(sent).get("command", ["none"])[-1]


def case_of(line: dict, started: dict[str, str]) -> Case | None:
    """Command, status and error text; of a finished job those of the command that started it, None if it is pending."""
    command, response = command_of(line), line["response"]
    inner = next(iter(response.values()), None) if isinstance(response, dict) else None
    answer = inner if isinstance(inner, dict) else {}
    status, text = str(line["status"]), str(answer.get("errortext") or "")
    if command == "queryAsyncJobResult":
        if answer.get("jobstatus") == 0:
            return None
        if "jobstatus" in answer:
            result = answer.get("jobresult")
            command = started.get(line["request"].get("jobid", ""), command)
            status = f"job {answer['jobstatus']}, {answer.get('jobresultcode')}"
            text = str(result.get("errortext", "")) if isinstance(result, dict) else ""
    elif answer.get("jobid"):
        started[answer["jobid"]] = command
    return command, status, NUMBERS.sub("#", UUID.sub("~", text))


def replay_raw() -> Area:
    area, client = Area(read("auth_transport")), Client()
    for number, line in enumerate(area.lines):
        if line["name"] in STATES:
            area.outcomes[number] = ask_closed(line["name"])
            continue
        status, headers, body = client.send(line)
        if (status, headers.get("Content-Type")) != (line["status"], line["headers"].get("Content-Type")):
            area.outcomes[number] = f"status {status}, {headers}"
        else:
            area.outcomes[number] = compare(line["response"], body)
    return area


def replay_crash(folder: Path) -> Area:
    replay, outcomes = replay_all(folder)
    return Area(replay.lines, outcomes)


@pytest.fixture(scope="module")
def areas(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Area]:
    found = {
        "auth_transport": replay_raw(),
        "restart_throttle_post": replay_crash(tmp_path_factory.mktemp("crash")),
    }
    for name in KNOWN.keys() - SENT_ELSEWHERE:
        replay = Replay(name)
        report = replay.run(KNOWN[name])
        found[name] = Area(replay.lines, report.outcomes, report.unreplayed)
    return dict(sorted(found.items()))


def share(part: int, whole: int) -> str:
    """Rounded down: 96.99 is not yet 97."""
    return f"{part * 1000 // whole / 10:.1f} %"


def row(name: str, areas: list[Area], cases: dict[Case, bool]) -> str:
    replayed = sum(len(area.outcomes) for area in areas)
    differing = sum(len(area.differing) for area in areas)
    left_out = sum(len(area.unreplayed) for area in areas)
    recorded = sum(len(area.lines) for area in areas)
    equal = sum(cases.values())
    numbers = (recorded, replayed, replayed - differing, differing, left_out, len(cases), equal)
    return f"| {name} | {' | '.join(map(str, numbers))} | {share(equal, len(cases))} |"


def merged(areas: dict[str, Area]) -> dict[Case, bool]:
    whole: dict[Case, bool] = {}
    for area in areas.values():
        for case, same in area.cases().items():
            whole[case] = whole.get(case, True) and same
    return whole


def page_of(areas: dict[str, Area]) -> str:
    whole = merged(areas)
    overall = share(sum(whole.values()), len(whole))
    below = [name for name, area in areas.items() if sum(area.cases().values()) * 100 < AIM * len(area.cases())]
    lines = [
        "# The embedded CloudStack as a witness",
        "<!-- Made by tools/make_witness.py; changes here are overwritten. -->",
        "",
        "Every line of `tests/recordings/cloudstack/*.jsonl.gz`, recorded from a real CloudStack 4.22, was asked",
        "again of the embedded one. A line is *equal* when status, envelope, field names, JSON types, the lengths and",
        "the order of lists, error texts and all values are as recorded, ids translated; `tests/simulator/excuses.py`",
        "names the fields that two runs cannot share (moments, secrets, what is drawn at random, what counts the whole",
        "cloud) and the few lists that have no order.",
        "Of the one body that was recorded compressed only status and headers are known.",
        "Calls that were sent at once are equal when each answer came as often as recorded. What the recorder had",
        "made, or did between two lines, and did not record is in `tests/simulator/prologue.py`: it is made again and",
        "not counted.",
        "",
        "A *case* is a distinct command, status (of a job: its outcome) and error text, ids and internal numbers",
        "aside; polls of jobs that are still pending are none. A case is equal when **all** its lines are: one that",
        "differs or cannot be replayed makes it unequal, whatever the reason. Many areas share cases; the last row",
        "counts each once.",
        "",
        f"The aim is {AIM} % of the cases, overall and in each area; overall it is {overall}.",
        f"Below the aim: {', '.join(below) or 'no area'}.",
        "",
        "| area | recorded | replayed | equal | differing | not replayed | cases | equal cases | share |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
        *(row(name, [area], area.cases()) for name, area in areas.items()),
        row("**all**", list(areas.values()), whole),
        "",
        "## Differing",
        "",
        "| area | line | command | why |",
        "|---|---|---|---|",
    ]
    for name, area in areas.items():
        for number in area.differing:
            line = area.lines[number]
            shown = line["name"].replace("|", "\\|")
            lines.append(f"| {name} | {shown} | `{command_of(line)}` | {KNOWN[name][line['name']]} |")
    if any(area.unreplayed for area in areas.values()):
        lines += ["", "## Not replayed", "", "| area | why | lines |", "|---|---|--:|"]
    for name, area in areas.items():
        reasons = Counter(area.unreplayed.values())
        lines += [f"| {name} | {reason} | {count} |" for reason, count in sorted(reasons.items())]
    return "\n".join([*lines, ""])


def test_every_recorded_area_is_replayed_to_its_last_line(areas: dict[str, Area]) -> None:
    assert areas.keys() == {path.name.partition(".")[0] for path in FOLDER.glob("*.jsonl.gz")}
    for area in areas.values():
        assert sorted([*area.outcomes, *area.unreplayed]) == list(range(len(area.lines)))


def test_the_lines_that_cannot_be_replayed_do_not_grow(areas: dict[str, Area]) -> None:
    counted = {name: len(area.unreplayed) for name, area in areas.items()}
    assert counted == UNREPLAYED, "more is a step back; for less, lower the number in excuses.py"


def test_what_differs_is_listed_with_its_reason(areas: dict[str, Area]) -> None:
    differing = {(name, area.lines[number]["name"]) for name, area in areas.items() for number in area.differing}
    assert differing == {(name, line) for name, listed in KNOWN.items() for line in listed}


def test_every_area_and_all_together_are_at_the_aim(areas: dict[str, Area]) -> None:
    counted = {"all": merged(areas), **{name: area.cases() for name, area in areas.items()}}
    assert {name for name, cases in counted.items() if sum(cases.values()) * 100 < AIM * len(cases)} == set()


def test_a_case_is_equal_only_when_all_its_lines_are() -> None:
    line = {"request": {"command": "listZones"}, "status": 200, "response": {"listzonesresponse": {}}}
    key = ("listZones", "200", "")
    assert Area([line, line], {0: None, 1: None}).cases() == {key: True}
    assert Area([line, line], {0: None, 1: "differs"}).cases() == {key: False}
    assert Area([line, line], {0: None}, {1: "names something unknown"}).cases() == {key: False}


def test_the_page_says_what_the_replay_found(areas: dict[str, Area]) -> None:
    page = page_of(areas)
    if "GSTACK_WRITE_PAGES" in os.environ:
        PAGE.write_text(page)
    assert PAGE.read_text() == page, "run: make witness"
