"""Settings: the file, the environment, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from gstack.settings import SETTINGS, Settings, SettingsError, load


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "gstack.conf"
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_the_file_of_the_original_gstack_still_loads(tmp_path: Path) -> None:
    path = _file(tmp_path, "PATH = 'data/'\nGSTACK_BIND_ADDRESS = 'localhost'\nGSTACK_PORT = '5000'\n")
    settings = load(path, {})
    assert (settings["PATH"], settings["GSTACK_PORT"]) == ("data/", 5000)


def test_the_environment_overrides_under_its_prefix_only(tmp_path: Path) -> None:
    path = _file(tmp_path, "GSTACK_PORT = 5000\n")
    environment = {
        "GSTACK_CONF_GSTACK_PORT": "5001",
        "GSTACK_CONF_GSTACK_TLS": "false",
        "GSTACK_CONF_REGIONS": "{'a': 'b'}",
        "PATH": "/usr/bin",
        "GSTACK_PORT": "tcp://10.0.0.1:80",
    }
    settings = load(path, environment)
    assert settings["GSTACK_PORT"] == 5001
    assert settings["GSTACK_TLS"] is False
    assert settings["REGIONS"] == {"a": "b"}
    assert settings["PATH"] == "~/.gstack"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("GSTACK_PROT = 5000\n", "Did you mean GSTACK_PORT?"),
        ("GSTACK_PORT = 'five'\n", "must be of type int"),
        ("GSTACK_PORT = True\n", "must be of type int"),
        ("GSTACK_PORT = 0\n", "at least 1"),
        ("CLOUDSTACK_PROTOCOL = 'ftp'\n", "must be one of http, https"),
        ("GSTACK_PORT = open('/etc/passwd')\n", "a plain value, not code"),
        ("import os\n", "expected NAME = value"),
        ("GSTACK_PORT 5000\n", "line 1"),
        ("GSTACK_PORT = 99999\n", "at most 65535"),
        ("CLOUDSTACK_READ_TIMEOUT = -5\n", "at least 0.01"),
        ("CLOUDSTACK_HOST = 'http://cloud/api'\n", "cannot be 'http://cloud/api'"),
        ("CLOUDSTACK_HOST = ''\n", "cannot be ''"),
        ("CLOUDSTACK_PATH = 'client'\n", "cannot be 'client'"),
        ("GSTACK_BIND_ADDRESS = 'a b'\n", "cannot be 'a b'"),
        ("REGIONS = {1: 2}\n", "must map text to text"),
        ("REGIONS = {[]: 1}\n", "a plain value, not code"),
        ("GSTACK_PORT = \0\n", "not a Python-style constant"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_line_and_the_nearest_name(
    tmp_path: Path, text: str, says: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(_file(tmp_path, text), {})
    assert says in str(caught.value)
    assert "gstack.conf" in str(caught.value)


def test_an_unknown_setting_in_the_environment_is_refused() -> None:
    with pytest.raises(SettingsError, match="Did you mean CLOUDSTACK_HOST"):
        load(None, {"GSTACK_CONF_CLOUDSTACK_HOTS": "x"})


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_file_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    path = _file(tmp_path, "GSTACK_PORT = 5000\n")
    path.chmod(mode)
    with pytest.raises(SettingsError, match="chmod go-w"):
        load(path, {})


def test_a_named_file_that_is_missing_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="gstack-configure"):
        load(tmp_path / "absent.conf", {})


def test_listening_everywhere_is_shown_to_clients_as_localhost() -> None:
    settings = Settings({"GSTACK_BIND_ADDRESS": "0.0.0.0", "GSTACK_PORT": 5001})
    assert settings.public_url == "https://localhost:5001"


def test_every_setting_says_what_it_means_in_a_sentence() -> None:
    assert [setting.name for setting in SETTINGS if not setting.doc.endswith(".")] == []


def test_the_example_file_loads_as_the_defaults(tmp_path: Path) -> None:
    example = Path(__file__).parent.parent / "gstack.conf.example"
    uncommented = "\n".join(line.removeprefix("#") for line in example.read_text().splitlines() if line[:2] != "# ")
    assert dict(load(_file(tmp_path, uncommented), {})) == dict(Settings())


def test_a_file_that_is_no_text_is_an_error_and_no_traceback(tmp_path: Path) -> None:
    path = _file(tmp_path, "")
    path.write_bytes(b"PATH = '\xff'\n")
    with pytest.raises(SettingsError, match="UTF-8"):
        load(path, {})


def test_a_file_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _file(tmp_path, "GSTACK_PORT = 5000\n")
    monkeypatch.setattr("os.geteuid", lambda: path.stat().st_uid + 1)
    if path.stat().st_uid == 0:  # root's files are trusted by everybody
        assert load(path, {})["GSTACK_PORT"] == 5000
    else:
        with pytest.raises(SettingsError, match="chown"):
            load(path, {})


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "0.0.0.0", "::", "gw-1.example.org", "cloud_1"])
def test_names_and_addresses_of_every_kind_are_accepted(host: str) -> None:
    assert Settings({"GSTACK_BIND_ADDRESS": host})["GSTACK_BIND_ADDRESS"] == host
