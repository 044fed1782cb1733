"""The table of implemented commands, filled by a decorator in each file of `areas`.

Apart, so that areas need not know the simulator. Surprising: the table is fixed at import and holds no
state; all state is in the Simulator that runs a command, so several can live in one process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .apis import load_apis

if TYPE_CHECKING:
    from .call import Call

Body = dict[str, object]
Handler = Callable[["Call"], Body]


@dataclass(frozen=True, slots=True)
class Command:
    name: str
    handler: Handler
    id_kind: str | None
    reads: bool


COMMANDS: dict[str, Command] = {}


def command(name: str, id_kind: str | None = None) -> Callable[[Handler], Handler]:
    """Register a handler. `id_kind` is the table that the parameters `id` and `ids` of this command name."""

    def register(handler: Handler) -> Handler:
        if name not in load_apis():
            raise LookupError(f"CloudStack has no command {name}")
        reads = name.startswith(("list", "get", "query"))
        COMMANDS[name] = Command(name, handler, id_kind, reads)
        return handler

    return register
