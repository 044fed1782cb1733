"""Which workflow has which name.

Apart so that web workers can refuse a name that no worker would ever run, without importing what runs it:
DBOS leaves work of an unknown name waiting in silence.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gstack.operations

if TYPE_CHECKING:
    from gstack.operations.run import Run

Function = Callable[["Run", dict[str, Any]], None]

# A registry: filled while the rooms are imported, read-only afterwards.
WORKFLOWS: dict[str, Function] = {}


def workflow(name: str) -> Callable[[Function], Function]:
    """Give a function its name (``op.instances.insert``), which stands in the database and never changes.

    The function must come to the same steps in the same order whenever it runs with the same plan: whatever
    reads or changes the world stands in a step. Raises ValueError at import for a name that is taken.
    """

    def register(function: Function) -> Function:
        if name in WORKFLOWS:
            raise ValueError(f"the workflow {name} is registered twice")
        WORKFLOWS[name] = function
        return function

    return register


def load_workflows() -> dict[str, Function]:
    """Import every file of this room, so that all names are known."""
    for module in pkgutil.iter_modules(gstack.operations.__path__):
        if module.name != "worker":
            importlib.import_module(f"gstack.operations.{module.name}")
    return WORKFLOWS
