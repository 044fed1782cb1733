"""The global settings of the simulated cloud that matter, under CloudStack's own names.

Apart, because they are CloudStack's configuration and not the simulator's. Surprising: `expunge.delay` is a
day, as shipped, so a destroyed machine keeps its name and address for longer than any test runs unless it
is set.
"""

from __future__ import annotations

from collections.abc import Mapping

DEFAULTS: dict[str, object] = {
    "allow.user.expunge.recover.vm": False,
    "allow.user.expunge.recover.volume": True,
    "allow.user.view.destroyed.vm": False,
    "api.throttling.enabled": False,
    "api.throttling.interval": 1,
    "api.throttling.max": 25,
    "custom.diskoffering.size.max": 1024,
    "custom.diskoffering.size.min": 1,
    "default.page.size": 500,
    "enable.dynamic.scale.vm": True,
    "enforce.post.requests.and.timestamps": False,
    "expunge.delay": 86_400.0,
    "network.gc.wait": 600.0,
    "storage.max.volume.size": 2000,
    "vm.password.length": 6,
    "vm.userdata.max.length": 32_768,
    "max.data.disks": 6,
    "project.invite.required": False,
}


class Settings:
    def __init__(self) -> None:
        self.values = dict(DEFAULTS)

    def update(self, values: Mapping[str, object]) -> None:
        for name, value in values.items():
            self[name] = value

    def __setitem__(self, name: str, value: object) -> None:
        if name not in DEFAULTS:
            raise LookupError(f"no setting {name!r}; known: {', '.join(DEFAULTS)}")
        self.values[name] = value

    def like(self, name: str, text: str) -> object:
        """A text as a value of the kind that this setting has by default."""
        default = DEFAULTS[name]
        if isinstance(default, bool):
            return text.lower() == "true"
        return type(default)(text) if isinstance(default, (int, float)) else text

    def flag(self, name: str) -> bool:
        value = self.values[name]
        return value.lower() == "true" if isinstance(value, str) else bool(value)

    def number(self, name: str) -> float:
        return float(str(self.values[name]))
