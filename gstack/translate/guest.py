"""What a guest does at every boot because its metadata says so, as one shell program for cloud-init.

Apart from the user data around it because this is a language of its own. It is a *boothook*: cloud-init runs it at
every boot, and reads the user data anew where it asks CloudStack's virtual router for it, so that keys, scripts and
metadata that were changed meanwhile are there after the next boot. (Of a config drive it may keep what it read first.)
The surprising thing: the program also takes away what an earlier one made, as cloud-init keeps every script that it was
ever given.

Source: https://cloudinit.readthedocs.io/en/latest/explanation/format.html
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

METADATA = "metadata.json"  # below /etc/gstack
MARK = "#cloud-boothook\n"


def program(metadata: Mapping[str, str], users: Mapping[str, Sequence[str]], script: str, url: str) -> bytes:
    """The boothook. ``users`` are the keys of each account; an empty ``script`` or ``url`` is none."""
    steps = [MARK + _source("boot.sh")]
    if metadata:
        steps.append(_given(f"keep {METADATA}", json.dumps(metadata, ensure_ascii=True, sort_keys=True)))
    if script:
        steps.append(_given("at_boot 1-startup-script", _runnable(script)))
    if url:
        first, rest = _source("fetch.sh").split("\n", 1)
        steps.append(_given("at_boot 2-startup-script-url", f"{first}\nurl={shlex.quote(url)}\n{rest}"))
    steps += [_given(f"user {name}", "\n".join(keys)) for name, keys in users.items()]
    return "\n".join([*steps, "finish", ""]).encode()


def _runnable(script: str) -> str:
    # GCE hands a script without an interpreter line to bash.
    lines = script.replace("\r\n", "\n")
    return lines if lines.startswith("#!") else f"#!/bin/bash\n{lines}"


def _given(command: str, text: str) -> str:
    """A command with ``text`` on its stdin, always in the same words: user data changes with metadata only."""
    end = "gstack-" + hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"{command} <<'{end}'\n{text}\n{end}"


@cache
def _source(name: str) -> str:
    return files("gstack").joinpath("data", "guest", name).read_text()
