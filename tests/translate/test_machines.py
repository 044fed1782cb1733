"""Names and states of machines."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gstack.translate import machines
from gstack.translate.names import is_label

ID = "1ecabec9-3a94-4e5d-b5b8-56f1bf2295a4"


def machine(name: str = "web", **members: Any) -> dict[str, Any]:
    return {
        "id": ID,
        "name": name,
        "displayname": name,
        "state": "Running",
        "created": "2026-11-21T08:37:02+0000",
    } | members


def marked(**marks: str) -> list[dict[str, str]]:
    return [{"key": f"gstack:{key.replace('_', '-')}", "value": value} for key, value in marks.items()]


@pytest.mark.parametrize(
    ("row", "name"),
    [
        (machine("web"), "web"),
        (machine("Web-1"), "web-1"),
        (machine("web", displayname="A web server"), "web"),
        (machine("web-0a1b2", displayname="web"), "web"),
        (machine("web-0a1b2", displayname="Web"), "web-0a1b2"),
        (machine("web-0a1b2", displayname="other"), "web-0a1b2"),
        (machine("web-0a1b2", displayname="changed", tags=marked(name="web")), "web"),
        (machine(f"gone-{ID}", displayname="web"), "web"),
        (machine(f"gone-{ID}", displayname="web-1", tags=marked(name="web")), "web-1"),
        (
            machine("gone-2ecabec9-3a94-4e5d-b5b8-56f1bf2295a4", displayname="web"),
            "gone-2ecabec9-3a94-4e5d-b5b8-56f1bf2295a4",
        ),
    ],
)
def test_a_machine_is_called_by_its_name_with_few_exceptions(row: dict[str, Any], name: str) -> None:
    assert machines.gce_names_of([row]) == {ID: name}


def test_a_plain_name_wins_over_an_older_exception() -> None:
    old = machine("web-0a1b2", displayname="web", id="a" * 36, created="2020-01-01T00:00:00+0000")
    assert machines.gce_names_of([old, machine("web")])[ID] == "web"


def test_of_two_plain_names_the_older_wins() -> None:
    old = machine("web", id="a" * 36, created="2020-01-01T00:00:00+0000")
    assert machines.gce_names_of([machine("Web"), old])["a" * 36] == "web"


@given(st.from_regex(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True), st.from_regex(r"[0-9a-f]{5}", fullmatch=True))
def test_a_spare_name_is_a_host_name_and_leads_back(name: str, token: str) -> None:
    spare = machines.spare_name(name, token)
    assert is_label(spare)
    assert machines.gce_names_of([machine(spare, displayname=name)]) == {ID: name}


def test_a_tombstone_is_a_host_name() -> None:
    assert is_label(machines.tombstone(ID))


@pytest.mark.parametrize(
    ("row", "status"),
    [
        (machine(), "RUNNING"),
        (machine(state="Stopped", jobid="j"), "PROVISIONING"),
        (machine(state="Stopped", jobid="j", lastupdated="2026-11-21T08:37:02+0000"), "TERMINATED"),
        (machine(state="Stopped"), "TERMINATED"),
        (machine(state="Starting", jobid="j"), "STAGING"),
        (machine(state="Stopping"), "STOPPING"),
        (machine(state="Migrating"), "RUNNING"),
        (machine(state="Error"), "TERMINATED"),
        (machine(state="Shutdown"), "TERMINATED"),
        (machine(state="Restoring"), "REPAIRING"),
        (machine(state="Something new"), "REPAIRING"),
        (machine(f"gone-{ID}"), "STOPPING"),
        (machine(f"gone-{ID}", state="Stopped", jobid="j"), "STOPPING"),
        (machine(f"gone-{ID}", state="Stopped"), "TERMINATED"),
    ],
)
def test_every_state_has_a_status(row: dict[str, Any], status: str) -> None:
    assert machines.status(row) == status


def test_destroyed_machines_are_not_shown() -> None:
    assert machines.visible([machine(state="Destroyed"), machine(state="Expunging"), machine()]) == [machine()]


def test_a_machine_type_is_remembered_until_the_machine_is_resized() -> None:
    mark = machines.type_mark("n1-standard-1", "893bd32a-cf34", 2, 4096)
    row = machine(serviceofferingid="893bd32a-cf34", cpunumber=2, memory=4096, tags=marked(machine_type=mark))
    assert machines.marked_type(row) == "n1-standard-1"
    assert machines.marked_type(row | {"memory": 8192}) is None
    assert machines.marked_type(row | {"serviceofferingid": "another"}) is None
    assert machines.marked_type(machine()) is None


class Cloud:
    """CloudStack's filters as recorded: names exactly but in any case, keywords as LIKE over name and displayname."""

    def __init__(self, *rows: dict[str, Any]) -> None:
        self.rows = rows
        self.asked: list[str] = []

    def list(self, _command: str, **params: Any) -> list[dict[str, Any]]:
        self.asked.append("name" if "name" in params else "keyword" if "keyword" in params else "all")
        if "name" in params:
            return [row for row in self.rows if row["name"].lower() == params["name"].lower()]
        parts = params.get("keyword", "").lower().split("%")
        return [row for row in self.rows if any(_like(parts, row[key].lower()) for key in ("name", "displayname"))]


def _like(parts: list[str], text: str) -> bool:
    for part in parts:
        if part not in text:
            return False
        text = text.split(part, 1)[1]
    return True


HEX = st.from_regex(r"[0-9a-f]{8}-0000-4000-8000-[0-9a-f]{12}", fullmatch=True)
ROWS = st.lists(
    st.builds(
        lambda id, name, shown, day: machine(name, id=id, displayname=shown, created=f"2026-11-{day:02}T00:00:00+0000"),
        HEX,
        st.sampled_from(["web", "Web", "web-1", "web-0a1b2", "WEB-1", "db", "1web", "web_1", "a..b"]),
        st.sampled_from(["web", "web-1", "A server"]),
        st.integers(1, 28),
    ),
    max_size=6,
    unique_by=lambda row: row["id"],
)


@given(ROWS)
def test_a_machine_is_found_by_the_very_name_that_a_list_shows(rows: list[dict[str, Any]]) -> None:
    for identity, name in machines.gce_names_of(rows).items():
        found = machines.find(Cloud(*rows), "zone", name)
        assert found is not None
        assert (found[0], found[1]["id"]) == (name, identity)


def test_a_plain_name_is_found_with_one_call() -> None:
    cloud = Cloud(machine("web"))
    assert machines.find(cloud, "zone", "web") == ("web", machine("web"))
    assert cloud.asked == ["name"]
