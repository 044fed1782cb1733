"""Machine types: CloudStack's service offerings under GCE's names.

Apart because instances, templates of instances and the machine types themselves must agree. An offering is
listed under its own name; ``custom-4-8192`` and Google's predefined names (``n1-standard-1``) are answered
when asked for, by a customizable offering or the smallest fixed one that is large enough. The surprising
thing: the answer keeps the name that was asked for, so that a client that reads it back sees no difference.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import orjson

from gstack.errors import GceError, invalid
from gstack.protocol.ids import numbered
from gstack.translate.caller import Caller
from gstack.translate.names import label, named
from gstack.translate.zonal import OfOffering, offered

Row = Mapping[str, Any]

DEFAULT_SPEED = 1000  # MHz, for a customizable offering without a fixed one in a cloud without any other
_CUSTOM = re.compile(r"(?:[a-z][a-z0-9]*-)?custom-(?P<cpus>\d{1,5})-(?P<memory>\d{1,9})(?:-ext)?")
_DISK_BOUND = ("rootdisksize", "diskofferingstrictness")  # of offerings that decide what a boot disk is
_DETAILS = "serviceofferingdetails"


@dataclass(frozen=True)
class MachineType(OfOffering):
    """A size of machine. ``cpus`` counts, ``memory_mb`` is in MiB, ``speed_mhz`` is CloudStack's CPU speed.

    ``custom`` says that the offering takes its size from the request, ``alias`` that ``name`` is not the
    offering's.
    """

    cpus: int
    memory_mb: int
    speed_mhz: int
    custom: bool = False
    alias: bool = False

    @property
    def details(self) -> dict[str, int]:
        """The parameter ``details`` of a deployment: empty for a fixed offering, which refuses any."""
        if not self.custom:
            return {}
        size = {"cpuNumber": self.cpus, "memory": self.memory_mb}
        return size if self.offering.get("cpuspeed") else size | {"cpuSpeed": self.speed_mhz}


class MachineTypes:
    """The machine types of one zone, or of all, as one caller sees them."""

    def __init__(
        self,
        offerings: Iterable[Row],
        aliases: Mapping[str, str] | None = None,
        zoneid: str | None = None,
    ) -> None:
        """``offerings`` are rows of listServiceOfferings, ``aliases`` the setting MACHINE_TYPE_ALIASES,
        ``zoneid`` a CloudStack zone: offerings bound to other zones are left out."""
        everywhere = named(offerings)  # before the zone counts: a name must not depend on the zone
        self._by_name = {name: row for name, row in everywhere.items() if offered(row, zoneid)}
        self._names = {str(row["id"]): name for name, row in self._by_name.items()}
        self._by_own_name = {str(row["name"]): row for row in reversed(self._by_name.values())}
        self._aliases = dict(aliases or {})
        speeds = Counter(row["cpuspeed"] for row in self._by_name.values() if row.get("cpuspeed"))
        self._speed = int(speeds.most_common(1)[0][0]) if speeds else DEFAULT_SPEED

    def listed(self) -> tuple[MachineType, ...]:
        """The fixed offerings in order of name."""
        return tuple(self._fixed(name, row) for name, row in sorted(self._by_name.items()) if not _customizable(row))

    def smallest(self) -> MachineType | None:
        """The smallest fixed offering that leaves size and type of the boot disk to the request."""
        free = [
            found
            for found in self.listed()
            if _plain(found.offering) and not any(found.offering.get(member) for member in _DISK_BOUND)
        ]
        return min(free, key=lambda found: (found.cpus, found.memory_mb, found.name), default=None)

    def get(self, name: str) -> MachineType | None:
        """The machine type of that name: an alias of the settings, an offering, a custom size, or one of
        Google's names. Raises GceError invalid for a custom size that no offering allows."""
        if name in self._aliases:
            return self._alias_of_settings(name)
        row = self._by_name.get(name)
        if row is not None and not _customizable(row):
            return self._fixed(name, row)
        custom = _CUSTOM.fullmatch(name)
        if custom:
            return self._custom(name, int(custom["cpus"]), int(custom["memory"]))
        shape = shapes().get(name)
        return self._alias(name, *shape) if shape else None

    def of_machine(self, machine: Row) -> MachineType:
        """The type of a row of listVirtualMachines: its offering, and its own size where that is
        customizable. An offering that was removed, or is bound to another zone, is named after what the row
        says of it."""
        cpus, memory = int(machine.get("cpunumber") or 0), int(machine.get("memory") or 0)
        offering_id = str(machine.get("serviceofferingid") or "")
        name = self._names.get(offering_id)
        if name is None:
            own_name = str(machine.get("serviceofferingname") or f"custom-{cpus}-{memory}")
            row: Row = {"id": offering_id, "name": own_name}
            return MachineType(label(own_name), row, cpus, memory, int(machine.get("cpuspeed") or 0))
        row = self._by_name[name]
        if _customizable(row):
            return self._sized(f"custom-{cpus}-{memory}", row, cpus, memory)
        return self._fixed(name, row)

    def _alias_of_settings(self, name: str) -> MachineType | None:
        wanted = self._aliases[name]
        row = self._by_own_name.get(wanted) or self._by_name.get(wanted)
        if row is None:
            return None
        if not _customizable(row):
            return self._fixed(name, row, alias=True)
        cpus, memory = shapes().get(name, (0, 0))
        return self._sized(name, row, cpus, memory, alias=True) if _allows(row, cpus, memory) else None

    def _alias(self, name: str, cpus: int, memory_mb: int) -> MachineType | None:
        fit = [row for row in self._by_name.values() if _plain(row) and _holds(row, cpus, memory_mb)]
        if fit:
            return self._fixed(name, min(fit, key=_size), alias=True)
        row = self._customizable(cpus, memory_mb)
        return self._sized(name, row, cpus, memory_mb, alias=True) if row else None

    def _custom(self, name: str, cpus: int, memory_mb: int) -> MachineType | None:
        customizable = [row for row in self._by_name.values() if _customizable(row)]
        if not customizable:
            return None
        row = self._customizable(cpus, memory_mb)
        if row is None:
            raise invalid("machineType", name, "Allowed are " + " or ".join(map(_limits_text, customizable)) + ".")
        return self._sized(name, row, cpus, memory_mb)

    def _customizable(self, cpus: int, memory_mb: int) -> Row | None:
        """The customizable offering for a size; one with a CPU speed of its own rather than one that we
        must choose the speed for."""
        fit = [row for row in self._by_name.values() if _customizable(row) and _allows(row, cpus, memory_mb)]
        return min(fit, key=lambda row: (not row.get("cpuspeed"), row.get("created", ""), row["id"]), default=None)

    def _fixed(self, name: str, row: Row, *, alias: bool = False) -> MachineType:
        cpus, memory, speed = (int(row.get(member) or 0) for member in ("cpunumber", "memory", "cpuspeed"))
        return MachineType(name, row, cpus, memory, speed, alias=alias)

    def _sized(self, name: str, row: Row, cpus: int, memory_mb: int, *, alias: bool = False) -> MachineType:
        speed = int(row.get("cpuspeed") or self._speed)
        return MachineType(name, row, cpus, memory_mb, speed, custom=True, alias=alias)


@cache
def shapes() -> Mapping[str, tuple[int, int]]:
    """Google's predefined machine types: name to vCPUs and memory in MiB."""
    table = orjson.loads(resources.files("gstack").joinpath("data/machine_shapes.json").read_bytes())
    return {name: (cpus, memory) for name, (cpus, memory) in table.items()}


def of_caller(caller: Caller, zoneid: str | None = None, *, refresh: bool = False) -> MachineTypes:
    """The machine types the caller sees, in one CloudStack zone or all."""
    offerings = caller.catalogue.service_offerings(caller.cloud, refresh=refresh)
    aliases = caller.settings["MACHINE_TYPE_ALIASES"]
    return offerings.made((MachineTypes, zoneid), lambda rows: MachineTypes(rows, aliases, zoneid))


def find(caller: Caller, name: str, zoneid: str | None = None) -> MachineType | None:
    """The caller's machine type of that name or number; asks CloudStack again before saying None, or that no size
    fits."""
    try:
        found = _named(of_caller(caller, zoneid), name)
    except GceError:
        found = None
    return found or _named(of_caller(caller, zoneid, refresh=True), name)


def _named(known: MachineTypes, name: str) -> MachineType | None:
    return known.get(name) or numbered(name, known.listed())


def _customizable(row: Row) -> bool:
    return bool(row.get("iscustomized"))


def _plain(row: Row) -> bool:
    """Fit to stand in for another: fixed, keeps its root disk at a restart, needs no IOPS, pays for no
    GPU."""
    special = ("iscustomized", "iscustomizediops", "isvolatile", "gpucount", "vgpuprofileid")
    return not any(row.get(member) for member in special) and "pciDevice" not in row.get(_DETAILS, {})


def _holds(row: Row, cpus: int, memory_mb: int) -> bool:
    return int(row.get("cpunumber") or 0) >= cpus and int(row.get("memory") or 0) >= memory_mb


def _size(row: Row) -> tuple[int, int, bool, str, str]:
    """Of two offerings of one size the one that leaves the boot disk's size to the request, then the older."""
    fixed = bool(row.get("rootdisksize"))
    return int(row["cpunumber"]), int(row["memory"]), fixed, str(row.get("created", "")), str(row["id"])


def _limits(row: Row) -> tuple[int, int, int, int]:
    """Least and most CPUs, least and most MiB; 0 for no upper limit."""
    given = row.get(_DETAILS, {})
    least_cpus, most_cpus = int(given.get("mincpunumber", 1)), int(given.get("maxcpunumber", 0))
    return least_cpus, most_cpus, int(given.get("minmemory", 32)), int(given.get("maxmemory", 0))


def _allows(row: Row, cpus: int, memory_mb: int) -> bool:
    least_cpus, most_cpus, least_memory, most_memory = _limits(row)
    return least_cpus <= cpus <= (most_cpus or cpus) and least_memory <= memory_mb <= (most_memory or memory_mb)


def _limits_text(row: Row) -> str:
    least_cpus, most_cpus, least_memory, most_memory = _limits(row)
    cpus = f"{least_cpus} to {most_cpus}" if most_cpus else f"at least {least_cpus}"
    memory = f"{least_memory} to {most_memory}" if most_memory else f"at least {least_memory}"
    return f"{cpus} CPUs with {memory} MB of memory"
