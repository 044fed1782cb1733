"""Writes gstack.conf.example from the settings: ``python tools/make_example.py``. A test compares the two."""

from __future__ import annotations

from pathlib import Path

from gstack.settings import SETTINGS


def example() -> str:
    """The text of the example file: every setting, its meaning and its default, commented out."""
    lines = [
        "# gstack's settings with their defaults: Python-style constants, parsed and never run.",
        "# gstack-configure writes ~/.gstack/gstack.conf; the environment overrides each one as GSTACK_CONF_<NAME>.",
        "",
    ]
    for setting in SETTINGS:
        choices = f" One of {', '.join(setting.choices)}." if setting.choices else ""
        lines += [f"# {setting.doc}{choices}", f"#{setting.name} = {setting.default!r}", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    (Path(__file__).parent.parent / "gstack.conf.example").write_text(example())
