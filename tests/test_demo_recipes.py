"""What ``gstack demo`` leaves for other terminals."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from gstack import demo
from gstack.settings import Settings

NAMES = ("GSTACK_PROJECT", "GSTACK_ZONE", "GOOGLE_COMPUTE_CUSTOM_ENDPOINT", "GSTACK_CA_FILE", "GSTACK_URL")
SPECIAL = "it's $HOME `id`"


def test_the_environment_is_private_from_the_start_and_a_shell_reads_it_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loose(*_: object) -> None:
        raise AssertionError("the file was there before its mode was")

    monkeypatch.setattr(Path, "chmod", loose)
    before = os.umask(0)
    try:
        demo._print_recipes(Settings({"PATH": str(tmp_path)}), dict.fromkeys(NAMES, SPECIAL))
    finally:
        os.umask(before)
    file = tmp_path / "env.sh"
    assert file.stat().st_mode & 0o777 == 0o600
    shown = subprocess.run(["sh", "-c", f'. {file}; printf %s "$GSTACK_ZONE"'], capture_output=True, text=True)
    assert shown.stdout == SPECIAL


def test_what_is_to_be_pasted_stays_on_its_line_however_narrow_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo.console, "width", 40)
    monkeypatch.setattr(demo, "_wait_for_signal", lambda: None)
    demo.run_simulator(0, None, 0.0)
    demo._print_recipes(Settings({"PATH": str(tmp_path)}), dict.fromkeys(NAMES, "x" * 50))
    lines = capsys.readouterr().err.splitlines()
    keys = [line.split()[-1] for line in lines if line.startswith(("API key", "Secret key"))]
    assert [len(key) for key in keys] == [86, 86], "as CloudStack makes them"
    assert sum("InstancesClient(client_options" in line and line.endswith("})") for line in lines) == 1
