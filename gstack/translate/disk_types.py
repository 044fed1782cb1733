"""Disk types: CloudStack's disk offerings under GCE's names.

Apart because disks, instances and the disk types themselves must agree. Offerings are listed under their
own names, and besides them Google's ``pd-standard``, ``pd-balanced`` and ``pd-ssd``, which stand for a
custom-size offering. The surprising thing: a root disk has no disk offering of its own here, so for it the
name is all that counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gstack.errors import invalid
from gstack.protocol.ids import numbered
from gstack.translate import volumes
from gstack.translate.caller import Caller
from gstack.translate.names import label, named
from gstack.translate.places import Place
from gstack.translate.zonal import OfOffering, offered

Row = Mapping[str, Any]

PERSISTENT = ("pd-standard", "pd-balanced", "pd-ssd")
LOCAL = "local-ssd"
DEFAULT_GB = 10  # of a disk that is empty and of which no size is said


@dataclass(frozen=True)
class DiskType(OfOffering):
    """A kind of disk. ``size_gb`` is in GiB and 0 where the size is up to the request (``custom_size``).

    ``alias`` says that ``name`` is one of Google's, not the offering's.
    """

    size_gb: int
    custom_size: bool
    alias: bool = False


class DiskTypes:
    """The disk types of one zone, or of all, as one caller sees them."""

    def __init__(
        self,
        offerings: Iterable[Row],
        aliases: Mapping[str, str] | None = None,
        zoneid: str | None = None,
    ) -> None:
        """``offerings`` are rows of listDiskOfferings, ``aliases`` the setting DISK_TYPE_ALIASES,
        ``zoneid`` a CloudStack zone: offerings bound to other zones are left out."""
        everywhere = named(offerings)
        rows = {name: row for name, row in everywhere.items() if offered(row, zoneid)}
        self._types = {name: _disk_type(name, row) for name, row in rows.items()}
        self._by_id = {disk_type.id: disk_type for disk_type in self._types.values()}
        aged = sorted(rows.values(), key=lambda row: (str(row.get("created", "")), str(row["id"])))
        own_names = {str(row["name"]): row for row in reversed(aged)}
        for alias in dict.fromkeys((*PERSISTENT, LOCAL, *(aliases or {}))):
            chosen = (aliases or {}).get(alias)
            if chosen is not None:
                row = own_names.get(chosen) or rows.get(chosen)
            elif alias in self._types:
                continue  # an offering that bears Google's name is what it says
            else:
                row = next((row for row in aged if _fits(row, local=alias == LOCAL)), None)
            if row is not None:
                self._types[alias] = _disk_type(alias, row, alias=True)

    def listed(self) -> tuple[DiskType, ...]:
        """Every disk type in order of name."""
        return tuple(self._types[name] for name in sorted(self._types))

    def get(self, name: str) -> DiskType | None:
        """The disk type of that name or number."""
        return self._types.get(name) or numbered(name, self._types.values())

    def of_volume(self, row: Row) -> str:
        """The name of an existing volume's type: the one it was asked for, or its offering's."""
        marked = volumes.marked_type(row)
        if marked is not None:
            return marked
        found = self._by_id.get(str(row.get("diskofferingid") or ""))
        # An offering that was removed goes on for the volumes that have it.
        own = str(row.get("diskofferingname") or "")
        return found.name if found else label(own) if own else volumes.DEFAULT_TYPE


def of_caller(caller: Caller, zoneid: str | None = None, *, refresh: bool = False) -> DiskTypes:
    """The disk types the caller sees, in one CloudStack zone or all."""
    offerings = caller.catalogue.disk_offerings(caller.cloud, refresh=refresh)
    aliases = caller.settings["DISK_TYPE_ALIASES"]
    return offerings.made((DiskTypes, zoneid), lambda rows: DiskTypes(rows, aliases, zoneid))


def find(caller: Caller, name: str, zoneid: str | None = None) -> DiskType | None:
    """The caller's disk type of that name or number; asks CloudStack again before saying None."""
    return of_caller(caller, zoneid).get(name) or of_caller(caller, zoneid, refresh=True).get(name)


def says_nothing(caller: Caller, kind: DiskType) -> bool:
    """Whether it is what clients write who have no preference: then a boot disk lies on the storage of its machine's
    offering, unless the operator chose another."""
    return kind.alias and kind.name == volumes.DEFAULT_TYPE and kind.name not in caller.settings["DISK_TYPE_ALIASES"]


def referenced(caller: Caller, given: str, where: str, place: Place) -> DiskType:
    """The disk type that a client named in field ``where`` for a disk in a zone. Raises GceError invalid."""
    reference = caller.refer(given, collection="diskTypes", field=where, zone=place.name)
    if reference.zone not in (None, place.name, place.cloudstack_name):
        raise invalid(where, given, f"It must be in the disk's own zone, {place.name}.")
    found = find(caller, reference.name, place.id)
    if found is None:
        raise invalid(where, given, "The referenced diskType resource cannot be found.")
    return found


def _disk_type(name: str, row: Row, *, alias: bool = False) -> DiskType:
    custom = bool(row.get("iscustomized"))
    return DiskType(name, row, 0 if custom else int(row.get("disksize") or 0), custom, alias)


def _fits(row: Row, *, local: bool) -> bool:
    """Fit to stand for one of Google's: the storage it says, a size as asked, and no IOPS to be named."""
    if local:
        return row.get("storagetype") == "local"
    return row.get("storagetype") != "local" and bool(row.get("iscustomized")) and not row.get("iscustomizediops")
