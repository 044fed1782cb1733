"""Sealing: what is sealed can be opened here and nowhere else, and keys can be replaced."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from gstack.settings import Settings, SettingsError
from gstack.store import sealing
from gstack.store.sealing import (
    ENVIRONMENT,
    Sealer,
    Unsealable,
    add_key,
    drop_older_keys,
    ensure_keys,
    key_file,
    read_keys,
)

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


@given(st.binary(max_size=200))
def test_what_was_sealed_opens_again_and_does_not_show(value: bytes) -> None:
    sealed = Sealer(keys=[OLD]).seal(value)
    assert Sealer(keys=[OLD]).open(sealed) == value
    assert len(value) < 8 or value not in sealed.encode()


def test_another_installations_seal_does_not_open() -> None:
    with pytest.raises(Unsealable):
        Sealer(keys=[NEW]).open(Sealer(keys=[OLD]).seal(b"secret"))


@pytest.mark.parametrize("damaged", ["", "x", "ü", "gAAAAA=="])
def test_garbage_does_not_open(damaged: str) -> None:
    with pytest.raises(Unsealable):
        Sealer(keys=[OLD]).open(damaged)


def test_an_older_key_still_opens_and_the_first_key_seals() -> None:
    sealed = Sealer(keys=[OLD]).seal(b"secret")
    both = Sealer(keys=[NEW, OLD])
    rotated = both.rotate(sealed)
    assert both.open(sealed) == b"secret"
    assert Sealer(keys=[NEW]).open(rotated) == b"secret"


def test_an_index_of_an_older_key_is_still_looked_for() -> None:
    stored = Sealer(keys=[OLD]).indexes("api key", "K")[0]
    assert stored in Sealer(keys=[NEW, OLD]).indexes("api key", "K")
    assert stored not in Sealer(keys=[NEW]).indexes("api key", "K")


def test_indexes_differ_by_label_and_by_value() -> None:
    sealer = Sealer(keys=[OLD])
    found = {sealer.indexes(label, value) for label in ("a", "b") for value in ("x", "y")}
    assert len(found) == 4


def test_derived_keys_are_stable_and_differ_by_purpose() -> None:
    assert Sealer(keys=[OLD]).derive("pages") == Sealer(keys=[OLD, NEW]).derive("pages")[:1]
    assert Sealer(keys=[OLD]).derive("pages") != Sealer(keys=[OLD]).derive("sessions")


def test_a_sealer_does_not_print_its_keys() -> None:
    assert OLD not in repr(Sealer(keys=[OLD]))


def test_the_key_file_is_made_once_and_for_its_owner_only(settings: Settings) -> None:
    assert ensure_keys(settings)
    first = read_keys(key_file(settings))
    assert key_file(settings).stat().st_mode & 0o777 == 0o600
    assert not ensure_keys(settings)
    assert read_keys(key_file(settings)) == first


def test_a_new_key_goes_on_top_and_the_file_stays_private(settings: Settings) -> None:
    ensure_keys(settings)
    older = read_keys(key_file(settings))
    add_key(settings)
    assert read_keys(key_file(settings))[1:] == older
    assert key_file(settings).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610, 0o644])
def test_a_key_file_that_others_can_reach_is_refused(settings: Settings, mode: int) -> None:
    ensure_keys(settings)
    key_file(settings).chmod(mode)
    with pytest.raises(SettingsError, match="chmod 600"):
        Sealer(settings)


@pytest.mark.parametrize(
    "content",
    ["", "# only a comment\n", "not a key\n", OLD + "\nnot a key\n", "é\n"],
    ids=["empty", "comment", "no key", "a key and no key", "not ascii"],  # keys are made anew in each process
)
def test_a_file_without_good_keys_is_refused_without_showing_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "secret.keys"
    path.write_text(content, encoding="utf-8")
    path.chmod(0o600)
    with pytest.raises(SettingsError) as caught:
        read_keys(path)
    assert OLD not in str(caught.value) and "not a key" not in str(caught.value)


def test_a_missing_key_file_says_how_to_make_one(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="gstack-configure"):
        Sealer(settings)


def test_a_running_process_takes_up_a_new_key_and_lets_go_of_an_old_one(tmp_path: Path) -> None:
    settings = Settings({"PATH": str(tmp_path)})
    ensure_keys(settings)
    running = Sealer(settings)
    before, index = running.seal(b"x"), running.indexes("k", "v")
    add_key(settings)
    fresh = Sealer(settings)
    assert running.open(fresh.seal(b"y")) == b"y" and running.open(before) == b"x"
    assert running.indexes("k", "v")[1:] == index, "what was stored under the older key is still found"
    assert drop_older_keys(settings) == 1
    with pytest.raises(Unsealable):
        running.open(before)


def test_processes_of_different_age_derive_the_same_keys_before_and_after_each_change(tmp_path: Path) -> None:
    settings = Settings({"PATH": str(tmp_path)})
    ensure_keys(settings)
    oldest = Sealer(settings)
    first = oldest.derive("pages")
    add_key(settings)
    respawned = Sealer(settings)
    assert oldest.derive("pages") == respawned.derive("pages") and respawned.derive("pages")[1:] == first
    drop_older_keys(settings)
    assert oldest.derive("pages") == respawned.derive("pages") == Sealer(settings).derive("pages") != first


def test_a_file_that_changes_while_it_is_read_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings({"PATH": str(tmp_path)})
    ensure_keys(settings)

    def read_and_change(path: Path) -> tuple[str, ...]:
        found = read_keys(path)
        monkeypatch.undo()
        add_key(settings)
        return found

    monkeypatch.setattr(sealing, "read_keys", read_and_change)
    early = Sealer(settings)
    assert early.open(Sealer(settings).seal(b"x")) == b"x"


def test_a_file_that_becomes_unreadable_changes_nothing_in_a_running_process(tmp_path: Path) -> None:
    settings = Settings({"PATH": str(tmp_path)})
    ensure_keys(settings)
    running = Sealer(settings)
    sealed = running.seal(b"x")
    key_file(settings).write_text("broken")
    assert running.open(sealed) == b"x"
    key_file(settings).unlink()
    assert running.open(running.seal(b"y")) == b"y"


def test_keys_may_come_from_the_environment_and_then_no_file_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings({"PATH": str(tmp_path)})
    monkeypatch.setenv(ENVIRONMENT, f"{NEW},{OLD}")
    assert ensure_keys(settings) is False and not key_file(settings).exists()
    assert Sealer(settings).open(Sealer(keys=[OLD]).seal(b"x")) == b"x"
    assert Sealer(keys=[NEW]).open(Sealer(settings).seal(b"y")) == b"y"
    with pytest.raises(SettingsError, match=ENVIRONMENT):
        add_key(settings)


def test_a_wrong_key_in_the_environment_is_named_and_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, f"{NEW},nonsense")
    with pytest.raises(SettingsError, match="GSTACK_SECRET_KEYS: key 2 is not") as caught:
        Sealer(Settings({"PATH": str(tmp_path)}))
    assert NEW not in str(caught.value) and "nonsense" not in str(caught.value)
