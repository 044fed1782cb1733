"""What is remembered beside CloudStack's objects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from flask import current_app
from sqlalchemy import select

from gstack.settings import Settings
from gstack.store import identity, overlay
from gstack.store.db import db, own_session
from gstack.store.sealing import Sealer
from tests.store.stores import overlaid


@pytest.fixture(autouse=True)
def context(tmp_path: Path) -> Iterator[None]:
    with overlaid(Settings({"PATH": str(tmp_path)})):
        yield


def test_what_was_written_is_read_back_exactly() -> None:
    data = {"metadata": {"items": [{"key": "k", "value": "é\n"}]}, "number": 2**60, "nothing": None, "empty": {}}
    overlay.write("instances", "vm-1", "p", data)
    assert overlay.read("instances", "vm-1") == data


def test_nothing_remembered_reads_as_nothing() -> None:
    assert overlay.read("instances", "vm-1") == {}


def test_a_second_write_replaces_the_first_and_its_project() -> None:
    overlay.write("instances", "vm-1", "p", {"a": 1})
    overlay.write("instances", "vm-1", "q", {"b": 2})
    assert overlay.read("instances", "vm-1") == {"b": 2}
    assert db.session.scalars(select(overlay.Overlay.project)).all() == ["q"]


def test_what_is_held_is_there_and_stays_as_it_is() -> None:
    overlay.write("instances", "vm-1", "p", {"a": 1})
    assert (overlay.hold("instances", "vm-1"), overlay.hold("instances", "vm-2")) == (True, False)
    assert (overlay.read("instances", "vm-1"), overlay.projects("instances")) == ({"a": 1}, {"p"})


def test_a_store_keeps_its_identity() -> None:
    assert identity.known() is None
    assert identity.own() == identity.own() == identity.known()


def test_kinds_with_the_same_id_are_kept_apart() -> None:
    overlay.write("instances", "x", "p", {"a": 1})
    overlay.write("disks", "x", "p", {"b": 2})
    overlay.drop("disks", "x")
    assert (overlay.read("instances", "x"), overlay.read("disks", "x")) == ({"a": 1}, {})


def test_many_are_read_at_once_and_those_without_anything_are_absent() -> None:
    for number in range(3):
        overlay.write("instances", f"vm-{number}", "p", {"n": number})
    asked = [f"vm-{number}" for number in range(overlay.CHUNK * 2 + 1)]
    assert overlay.read_many("instances", asked) == {f"vm-{number}": {"n": number} for number in range(3)}
    assert overlay.read_many("instances", []) == {}


def test_what_was_foreseen_is_read_once_and_the_rest_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("vm-1", "vm-2", "vm-3"):
        overlay.write("instances", name, "p", {"name": name})
    read, asked = overlay._read, []
    monkeypatch.setattr(overlay, "_read", lambda kinds, ids: asked.append(list(ids)) or read(kinds, ids))
    remembered = overlay.Remembered("instances")
    remembered.prepare(["vm-1", "vm-0"])
    assert [remembered.of(name).get("name") for name in ("vm-0", "vm-1", "vm-2", "vm-2")] == [
        None,
        "vm-1",
        "vm-2",
        "vm-2",
    ]
    assert [ids for ids in asked if ids] == [["vm-1", "vm-0"], ["vm-2"]]


def test_objects_of_two_kinds_are_read_at_once_and_each_is_its_own_even_under_one_id() -> None:
    overlay.write("instances", "a", "p", {"is": "machine"})
    overlay.write("disks", "a", "p", {"is": "disk"})
    overlay.write("disks", "b", "p", {"is": "another"})
    overlay.write("images", "c", "p", {"is": "nobody asked for"})
    remembered = overlay.Remembered("instances", "disks")
    remembered.prepare(["a", "b", "c"])
    assert [remembered.of("a"), remembered.of("b"), remembered.of("c")] == [{"is": "machine"}, {}, {}]
    assert [remembered.of(one, "disks").get("is") for one in "abc"] == ["disk", "another", None]


def test_dropping_what_is_not_there_is_no_error() -> None:
    overlay.drop("instances", "vm-1")


def test_a_write_that_is_rolled_back_is_forgotten() -> None:
    overlay.write("instances", "vm-1", "p", {"a": 1})
    db.session.rollback()
    assert overlay.read("instances", "vm-1") == {}


def test_metadata_is_sealed_and_read_back_as_it_was() -> None:
    items = [{"key": "startup-script", "value": "PASSWORD=hunter2"}]
    overlay.write("instances", "a", "p", {"metadata": items, "description": "seen"})
    stored = db.session.scalars(select(overlay.Overlay.data)).one()
    assert "hunter2" not in str(stored)
    assert stored["description"] == "seen"
    assert overlay.read("instances", "a") == {"metadata": items, "description": "seen"}


def test_resealing_takes_sealed_metadata_to_the_new_key() -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    overlay.init_app(current_app, Sealer(keys=[old]))
    overlay.write("instances", "a", "p", {"metadata": [1]})
    overlay.write("instances", "b", "p", {"description": "x"})
    assert overlay.reseal(db.session(), Sealer(keys=[new, old])) == 1
    db.session.flush()
    overlay.init_app(current_app, Sealer(keys=[new]))
    assert overlay.read("instances", "a") == {"metadata": [1]}


def test_what_is_written_during_resealing_is_kept() -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    overlay.init_app(current_app, Sealer(keys=[new, old]))
    for name in ("a", "b"):
        overlay.write("instances", name, "p", {"metadata": [1]})
    db.session.commit()

    class Slow(Sealer):
        busy = True

        def rotate(self, sealed: str) -> str:
            if self.busy:
                self.busy = False
                for name in ("a", "b"):
                    overlay.write("instances", name, "p", {"metadata": [2]})
                db.session.commit()
            return super().rotate(sealed)

    with own_session() as session:
        assert overlay.reseal(session, Slow(keys=[new, old])) == 2
    assert [overlay.read("instances", name) for name in ("a", "b")] == [{"metadata": [2]}] * 2
