"""The commands, one file an area. Importing an area registers its commands.

Apart, so that adding an area is adding a file and a line here. Surprising: nothing else in the package
names a command.
"""

from importlib import import_module
from types import ModuleType

NAMES = (
    "accounts",
    "catalogue",
    "jobs",
    "keypairs",
    "machines",
    "machines_change",
    "machines_deploy",
    "machines_lifecycle",
    "networks",
    "security_groups",
    "snapshots",
    "tags",
    "templates",
    "volumes",
)


def load() -> dict[str, ModuleType]:
    return {name: import_module(f"{__name__}.{name}") for name in NAMES}
