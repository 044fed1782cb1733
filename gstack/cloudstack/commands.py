"""The table of CloudStack's commands: which parameters each takes, and how a value is written.

CloudStack ignores a parameter it does not know, also on writes, and answers 401 to a command it does not
know. So a name that is not in the table is a bug of ours and raises :class:`ValueError` before anything is
sent. The table is made by tools/make_commands.py from a recorded ``listApis``.
"""

from __future__ import annotations

import difflib
import gzip
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Any

import orjson

from gstack.errors import GceError

# By their name they only read, but they leave something behind.
_NOT_READS = ("getUploadParams", "listAndSwitch")
# In these projectid is the destination, not the scope.
_PROJECT_IS_TARGET = ("assign", "dedicate")


class Command:
    """One command: ``name``, ``isasync`` and ``params`` (name to type: string, uuid, list, map ...)."""

    def __init__(self, name: str, isasync: bool, params: dict[str, str]) -> None:
        self.name = name
        self.isasync = isasync
        self.params = params
        self.reads = name.startswith(("list", "get", "query")) and not name.startswith(_NOT_READS)
        self.scoped = "projectid" in params and not name.startswith(_PROJECT_IS_TARGET)
        self.paged = "pagesize" in params

    def encode(self, values: Mapping[str, Any]) -> dict[str, str]:
        """``values`` as CloudStack writes them; None is left out. Raises ValueError for a name it does not
        take."""
        wire: dict[str, str] = {}
        for name, value in values.items():
            if name not in self.params:
                raise ValueError(f"{self.name} takes no parameter {name!r}{_hint(name, self.params)}")
            if value is not None:
                wire |= self._one(name, value)
        return wire

    def _one(self, name: str, value: Any) -> dict[str, str]:
        if self.params[name] == "map":
            return _map(f"{self.name}: {name}", name, value)
        if isinstance(value, (list, tuple, set, frozenset)):
            if self.params[name] != "list":
                raise ValueError(f"{self.name}: {name} is no list")
            return {name: _joined(name, value)}
        return {name: _scalar(value)}


@cache
def commands() -> Mapping[str, Command]:
    """All commands by name, as an administrator of CloudStack 4.22 sees them."""
    packed = resources.files("gstack").joinpath("data/commands.json.gz").read_bytes()
    table = orjson.loads(gzip.decompress(packed))
    return {name: Command(name, row["async"], row["params"]) for name, row in table.items()}


def command(name: str) -> Command:
    """The command; ValueError when CloudStack has none of that name."""
    found = commands().get(name)
    if found is None:
        raise ValueError(f"CloudStack has no command {name!r}{_hint(name, commands())}")
    return found


def _map(where: str, name: str, value: Any) -> dict[str, str]:
    """``[{"key": k, "value": v}]`` → ``name[0].key``; ``{"cpuNumber": 2}`` → ``name[0].cpuNumber``.

    Of ``details`` CloudStack reads only index 0, hence the free-form dictionary goes there whole."""
    entries = [value] if isinstance(value, Mapping) else value
    if not isinstance(entries, (list, tuple)) or not all(isinstance(entry, Mapping) for entry in entries):
        raise ValueError(f"{where} needs a dictionary or a list of dictionaries")
    return {
        f"{name}[{index}].{key}": _scalar(item)
        for index, entry in enumerate(entries)
        for key, item in entry.items()
        if item is not None
    }


def _joined(name: str, values: Iterable[Any]) -> str:
    texts = [_scalar(value) for value in values]
    for text in texts:
        if "," in text:
            raise GceError("invalid", f"'{text}' holds a comma, which a list of CloudStack's ({name}) cannot carry.")
    return ",".join(texts)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise ValueError(f"CloudStack takes no {type(value).__name__} as a value")


def _hint(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
