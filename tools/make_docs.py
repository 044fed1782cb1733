"""Writes what the code itself knows: the example configuration, and the tables of docs/.

``python tools/make_docs.py``; a test compares what it would write with what is there, so that docs cannot lie.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import fields_page

from gstack.protocol import methods
from gstack.protocol.discovery import document
from gstack.resources import load_handlers
from gstack.settings import SETTINGS, example

ROOT = Path(__file__).resolve().parent.parent
NOTE = "<!-- Made by tools/make_docs.py; changes here are overwritten. -->"


def configuration() -> str:
    """docs/configuration.md: the table of settings."""
    lines = [
        "# Configuration",
        NOTE,
        "",
        "`~/.gstack/gstack.conf` holds Python-style constants (`NAME = value`). It is parsed, never run. Unknown",
        "names, wrong types and a file that others may write are refused. `gstack --config FILE` reads another file.",
        "`gstack-configure --example` prints one with all of these, which in a checkout is `gstack.conf.example`.",
        "The environment overrides each setting as `GSTACK_CONF_<NAME>`; bare names are never read.",
        "",
        "| setting | default | meaning |",
        "|---|---|---|",
    ]
    for setting in SETTINGS:
        choices = f" One of {', '.join(f'`{choice}`' for choice in setting.choices)}." if setting.choices else ""
        lines.append(f"| `{setting.name}` | `{setting.default!r}` | {setting.doc}{choices} |")
    return "\n".join([*lines, ""])


def coverage() -> str:
    """docs/coverage.md: what is served and refused; the rest is counted by resource."""
    rows = methods.coverage()
    counted = Counter(state for _, state, _ in rows)
    lines = [
        "# Coverage",
        NOTE,
        "",
        f"Google's compute v1, revision {document().revision}: {len(rows)} methods. {counted['served']} are served,",
        f"{counted['refused']} are refused by design, {counted['not yet']} are not served yet and answer a GCE-shaped",
        "501. `gstack coverage` prints the state of each; `gstack coverage --json` is for tools.",
        "",
        "## Served",
        "",
        "| method | CloudStack commands it needs |",
        "|---|---|",
    ]
    for method_id, state, _ in rows:
        if state == "served":
            needs = ", ".join(f"`{command}`" for command in methods.HANDLERS[method_id].needs)
            lines.append(f"| `{method_id.removeprefix('compute.')}` | {needs} |")
    if counted["refused"]:
        lines += ["", "## Refused by design", "", "| method | reason |", "|---|---|"]
        for method_id, state, why in rows:
            if state == "refused":
                lines.append(f"| `{method_id.removeprefix('compute.')}` | {why} |")
    waiting = Counter(document().methods[method_id].resource for method_id, state, _ in rows if state == "not yet")
    lines += ["", "## Not yet, methods by resource", ""]
    lines.append(", ".join(f"{resource} ({count})" for resource, count in sorted(waiting.items())))
    return "\n".join([*lines, ""])


def pages() -> dict[str, str]:
    """Every generated file, by its path from the repository's root."""
    load_handlers()
    return {
        "gstack.conf.example": example(),
        "docs/configuration.md": configuration(),
        "docs/coverage.md": coverage(),
        "docs/fields.md": fields_page.page(NOTE),
    }


if __name__ == "__main__":
    for path, text in pages().items():
        (ROOT / path).write_text(text)
