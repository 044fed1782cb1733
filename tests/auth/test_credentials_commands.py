"""``gstack credentials`` as an operator types it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from gstack.auth import credentials as administration
from gstack.auth import tokens
from gstack.auth.commands import credentials, keys
from gstack.cloudstack.client import Endpoint
from gstack.store.credentials import ServiceAccountKey
from gstack.store.db import own_session
from gstack.store.sealing import ensure_keys, key_file, read_keys

from .conftest import Room


class Shell:
    """A folder with a configuration, in which commands are typed."""

    def __init__(self, room: Room, folder: Path) -> None:
        ensure_keys(room.settings)
        self.room = room
        self.config = folder / "gstack.conf"
        names = ("PATH", "CLOUDSTACK_HOST", "CLOUDSTACK_PORT", "CLOUDSTACK_PATH")
        self.config.write_text("".join(f"{name} = {room.settings[name]!r}\n" for name in names))
        self.config.chmod(0o600)

    def run(self, *argv: str, **options: Any) -> Result:
        return CliRunner().invoke(credentials, argv, obj=self.config, **options)

    def keys(self, *argv: str) -> Result:
        return CliRunner().invoke(keys, argv, obj=self.config)

    def create(self, *argv: str, who: str = "tenant", **options: Any) -> Result:
        api_key, secret_key = self.room.keys(who)
        environment = {"GSTACK_API_KEY": api_key, "GSTACK_SECRET_KEY": secret_key}
        return self.run("create", *argv, env=environment, **options)


@pytest.fixture
def shell(room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(room, tmp_path)


def test_create_writes_a_private_key_file_and_no_secret_to_the_terminal(shell: Shell) -> None:
    result = shell.create("--name", "ci", "--url", "https://gw.test:5000/")
    assert result.exit_code == 0, result.output
    assert "ci@tenant.iam.gserviceaccount.com" in result.output and "PRIVATE" not in result.output
    content = json.loads(Path("key.json").read_text())
    assert content["token_uri"] == "https://gw.test:5000/token"
    assert Path("key.json").stat().st_mode & 0o777 == 0o600


def test_create_asks_for_the_secret_without_showing_it(shell: Shell) -> None:
    api_key, secret_key = shell.room.keys()
    result = shell.run("create", "--output", "asked.json", input=f"{api_key}\n{secret_key}\n")
    assert result.exit_code == 0, result.output
    assert secret_key not in result.output and Path("asked.json").exists()


def test_what_commands_log_is_not_mixed_with_what_they_answer(shell: Shell) -> None:
    assert shell.create("--name", "ci").exit_code == 0
    ended = shell.run("revoke", "ci@tenant.iam.gserviceaccount.com")
    assert ended.exit_code == 0 and "tokens.revoked" in ended.stderr and "tokens.revoked" not in ended.stdout


def test_create_with_a_wrong_pair_says_so_and_writes_nothing(shell: Shell) -> None:
    result = shell.run("create", "--api-key", "x", "--secret-key", "y")
    assert result.exit_code == 1 and "API key or the secret key is wrong" in result.output
    assert not Path("key.json").exists()


def test_create_says_that_cloudstack_cannot_be_reached(shell: Shell) -> None:
    shell.room.simulator.faults.add("cut", times=None)
    result = shell.create()
    assert result.exit_code == 1 and result.output.startswith("Error: ") and "Traceback" not in result.output


def test_a_key_file_that_has_no_place_is_never_made(shell: Shell) -> None:
    shell.create("--name", "ci")
    for words in (("create", "--name", "x"), ("rotate", "ci@tenant.iam.gserviceaccount.com")):
        api_key, secret_key = shell.room.keys()
        environment = {"GSTACK_API_KEY": api_key, "GSTACK_SECRET_KEY": secret_key}
        result = shell.run(*words, "--output", "nowhere/key.json", env=environment)
        assert result.exit_code == 1 and "nowhere" in result.output
    (row,) = administration.listing()
    assert row.name == "ci"
    with own_session() as session:
        assert [key.revoked_at for key in session.scalars(select(ServiceAccountKey))] == [None]


@pytest.mark.parametrize("url", ["gce.example", "ftp://gce.example", "https://gce.example/compute/v1/"])
def test_a_url_that_is_no_root_is_refused_and_a_slash_at_its_end_is_not_doubled(shell: Shell, url: str) -> None:
    assert "root of the gateway" in shell.create("--url", url).output
    assert shell.create("--url", "https://gce.example:5000/").exit_code == 0
    assert json.loads(Path("key.json").read_text())["token_uri"] == "https://gce.example:5000/token"


def test_a_key_file_of_a_gateway_for_all_says_where_it_would_lead_to_nothing(shell: Shell) -> None:
    assert "of no use elsewhere" not in shell.create().output
    with shell.config.open("a") as file:
        file.write("GSTACK_BIND_ADDRESS = '0.0.0.0'\n")
    assert "https://localhost:5000/token, which is of no use elsewhere" in shell.create().output
    assert "of no use elsewhere" not in shell.create("--url", "https://gce.example:5000").output


def test_a_rotated_key_file_can_be_of_another_universe(shell: Shell) -> None:
    shell.create("--name", "ci", "--universe", "cloud.example")
    assert shell.run("rotate", "ci@tenant.iam.gserviceaccount.com", "--universe", "cloud.example").exit_code == 0
    assert json.loads(Path("key.json").read_text())["universe_domain"] == "cloud.example"


def test_an_empty_store_says_what_to_do(shell: Shell) -> None:
    assert "gstack credentials create" in shell.run("list").output
    assert shell.run("list", "--json").output == "[]\n"
    assert "no logins" in shell.run("logins").output


def test_list_shows_who_and_never_a_key(shell: Shell) -> None:
    shell.create("--name", "ci")
    rows = json.loads(shell.run("list", "--json").output)
    assert [(row["email"], row["account"], row["domain"]) for row in rows] == [
        ("ci@tenant.iam.gserviceaccount.com", "tenant", "ROOT/acme")
    ]
    shown = shell.run("list").output
    api_key, secret_key = shell.room.keys()
    assert "ROOT/acme/tenant" in shown and api_key not in shown and secret_key not in shown


def test_revoke_restore_and_rotate_by_address(shell: Shell) -> None:
    shell.create("--name", "ci")
    email = "ci@tenant.iam.gserviceaccount.com"
    first = Path("key.json").read_text()
    assert shell.run("rotate", email).exit_code == 0
    assert json.loads(Path("key.json").read_text())["private_key_id"] != json.loads(first)["private_key_id"]
    assert shell.run("revoke", email).exit_code == 0
    row = json.loads(shell.run("list", "--json").output)[0]
    assert row["revoked"]
    assert shell.run("rotate", email).exit_code == 1
    assert shell.run("restore", row["id"]).exit_code == 0
    assert not json.loads(shell.run("list", "--json").output)[0]["revoked"]


def test_reseal_tells_how_many(shell: Shell) -> None:
    shell.create()
    assert "Sealed 1 secrets again." in shell.run("reseal").output


def test_a_missing_configuration_ends_in_a_sentence(tmp_path: Path) -> None:
    result = CliRunner().invoke(credentials, ["list"], obj=tmp_path / "none.conf")
    assert result.exit_code == 1 and "gstack-configure" in result.output


def test_rotated_keys_seal_everything_again_and_the_old_ones_may_go(shell: Shell) -> None:
    shell.create("--name", "ci")
    old = read_keys(key_file(shell.room.settings))
    before = [row.sealed_keys for row in administration.listing()]
    result = shell.keys("rotate")
    assert result.exit_code == 0, result.output
    assert "1 secrets are sealed again" in result.output and not any(key in result.output for key in old)
    assert read_keys(key_file(shell.room.settings))[1:] == old
    assert [row.sealed_keys for row in administration.listing()] != before
    retired = shell.keys("retire")
    assert "Took 1 older keys away" in retired.output
    assert len(read_keys(key_file(shell.room.settings))) == 1
    assert shell.run("rotate", "ci@tenant.iam.gserviceaccount.com").exit_code == 0, "the pair still opens"


def test_logins_are_listed_and_one_is_ended(shell: Shell) -> None:
    shell.create("--name", "ci")
    owner = administration.listing()[0].id
    kept, ended = (
        tokens.keep_refresh(
            tokens.new_secret(), owner, f"c{n}", "s", confidential=False, now=int(time.time()), client=f"tool{n}"
        )
        for n in range(2)
    )
    rows = json.loads(shell.run("logins", "--json").output)
    assert {row["client"] for row in rows} == {"tool0", "tool1"} and kept not in shell.run("logins").output
    chosen = next(row["id"] for row in rows if row["client"] == "tool1")
    assert shell.run("end-login", chosen).exit_code == 0
    assert [row["client"] for row in json.loads(shell.run("logins", "--json").output)] == ["tool0"]
    assert tokens.look_up_refresh(ended, int(time.time())) is None


@pytest.mark.parametrize("login", ["", "%", "0" * 16, "_" * 16])
def test_a_login_that_does_not_exist_is_not_ended(shell: Shell, login: str) -> None:
    assert shell.run("end-login", login).exit_code == 1


def test_a_refused_command_closes_its_connections(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[Endpoint] = []
    monkeypatch.setattr(Endpoint, "close", lambda endpoint: closed.append(endpoint))
    assert shell.run("revoke", "nobody").exit_code == 1
    assert len(closed) == 1
