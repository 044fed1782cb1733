"""``python -m gstack.simulator`` refuses in words what it cannot do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gstack.simulator.__main__ import main


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--zone", "nowhere"), "invalid choice: 'nowhere'"),
        (("--state", str(Path(__file__))), "File exists"),
        (("--port", "many"), "invalid int value"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_what_cannot_be_done_ends_the_command_with_the_reason(
    words: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["simulator", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
