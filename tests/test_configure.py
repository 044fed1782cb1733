"""gstack-configure: what it asks, what it makes, and what it keeps."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from gstack import certificates, configure
from gstack.settings import Settings, load


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run gstack-configure with options and typed answers; the result. It asks no CloudStack."""
    monkeypatch.setattr(configure, "_trouble", lambda _settings: None)

    def run(*options: str, answers: str = ""):
        config = tmp_path / "home" / "gstack.conf"
        return CliRunner().invoke(configure.main, ["--config", str(config), *options], input=answers), config

    return run


def test_it_asks_what_the_original_asked_and_enter_takes_the_default(configured) -> None:
    result, config = configured(answers="\n" * 6)
    assert result.exit_code == 0, result.output
    asked = [line.split(" [")[0].split(" (")[0] for line in result.output.splitlines()[:6]]
    assert asked == [question for _, _, question in configure.QUESTIONS]
    settings = load(config, {})
    assert (settings["GSTACK_PORT"], settings["CLOUDSTACK_PORT"]) == (5000, 8080)
    assert settings["CLOUDSTACK_PATH"] == "/client/api"


@pytest.mark.parametrize(
    ("trouble", "said"), [(None, "it answers"), ("It cannot be reached.", "It cannot be reached.")]
)
def test_it_says_whether_cloudstack_answers_and_ends_well_either_way(configured, monkeypatch, trouble, said) -> None:
    monkeypatch.setattr(configure, "_trouble", lambda _settings: trouble)
    result, _ = configured("--yes")
    assert result.exit_code == 0
    assert said in next(line for line in result.output.splitlines() if "http://localhost:8080/client/api" in line)


def test_all_settings_are_shown_as_a_file_that_loads(configured, tmp_path: Path) -> None:
    result, config = configured("--example")
    assert not config.exists()
    shown = tmp_path / "shown.conf"
    shown.write_text(result.output.replace("\n#", "\n").replace("\n ", "\n# "))
    shown.chmod(0o600)
    assert dict(load(shown, {})) == dict(Settings())


def test_a_port_that_is_none_is_asked_for_again(configured) -> None:
    result, config = configured(answers="\n70000\n5005" + "\n" * 5)
    assert result.exit_code == 0, result.output
    assert load(config, {})["GSTACK_PORT"] == 5005


def test_answers_are_the_defaults_of_the_next_time(configured) -> None:
    configured(answers="gce.example\n5001\ncloud.example\n443\nhttps\n/api\n")
    result, config = configured(answers="\n" * 6)
    assert result.exit_code == 0, result.output
    settings = load(config, {})
    assert settings.cloudstack_url == "https://cloud.example:443/api"
    assert settings.public_url == "https://gce.example:5001"


def test_a_script_gives_the_same_as_options_and_is_asked_nothing(configured) -> None:
    result, config = configured("--yes", "--port", "5002", "--cloudstack-host", "cloud.example")
    assert result.exit_code == 0, result.output
    settings = load(config, {})
    assert (settings["GSTACK_PORT"], settings["CLOUDSTACK_HOST"]) == (5002, "cloud.example")


def test_transparent_adds_googles_names_to_the_certificate_and_they_stay(configured) -> None:
    configured("--yes")
    certificate = configured("--yes", "--transparent")[1].parent / "server.pem"
    assert certificates.uncovered(certificate, certificates.GOOGLE_NAMES) == []
    configured("--yes", "--name", "gce.example")
    assert certificates.uncovered(certificate, [*certificates.GOOGLE_NAMES, "gce.example"]) == []


def test_everything_secret_is_readable_by_its_owner_alone(configured) -> None:
    _, config = configured("--yes")
    modes = {
        name: stat.S_IMODE((config.parent / name).stat().st_mode)
        for name in ("gstack.conf", "gstack.db", "secret.keys", "ca.key", "server.key")
    }
    assert set(modes.values()) == {0o600}, modes


def test_running_it_again_keeps_the_authority_the_sealing_keys_and_settings_it_does_not_ask_for(configured) -> None:
    _, config = configured("--yes")
    with config.open("a") as file:
        file.write("CATALOGUE_TTL = 7\n")
    kept = {name: (config.parent / name).read_bytes() for name in ("ca.pem", "ca.key", "secret.keys")}
    configured("--yes", "--port", "5003")
    assert {name: (config.parent / name).read_bytes() for name in kept} == kept
    assert (load(config, {})["CATALOGUE_TTL"], load(config, {})["GSTACK_PORT"]) == (7, 5003)


def test_the_database_is_ready_before_the_operations_worker_ever_ran(configured) -> None:
    _, config = configured("--yes")
    tables = {row[0] for row in sqlite3.connect(config.parent / "gstack.db").execute("SELECT name FROM sqlite_master")}
    assert {"credential", "operation", "overlay", "workflow_status"} <= tables


def test_a_configuration_that_cannot_be_read_is_an_error_with_the_reason(configured) -> None:
    _, config = configured("--yes")
    config.write_text("GSTACK_PROT = 1\n")
    result, _ = configured("--yes")
    assert result.exit_code == 1
    assert "Did you mean GSTACK_PORT?" in result.output


@pytest.mark.parametrize(
    "options",
    [
        ("--bind-address", "a b"),
        ("--cloudstack-host", "http://x/y"),
        ("--cloudstack-path", "client"),
        ("--name", "a..b"),
        ("--name", "é"),
    ],
    ids=" ".join,
)
def test_nonsense_is_refused_before_anything_is_written(configured, options) -> None:
    _, config = configured("--yes")
    before = config.read_bytes()
    result, _ = configured("--yes", *options)
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert config.read_bytes() == before
