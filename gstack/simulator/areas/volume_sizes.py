"""How large a volume may be: with an offering of any size, and at all.

Apart, because creating, growing and deploying ask alike. Surprising: two settings say it, and the smaller one holds for
offerings of any size only; a root disk may grow past it up to the other (`VolumeApiServiceImpl` of CloudStack).
"""

from __future__ import annotations

from ..call import Call
from ..errors import invalid
from ..limits import GIB

UNITS = (("KB", 2), ("MB", 2), ("GB", 2), ("TB", 4))


def readable(size: int) -> str:
    """A number of bytes as CloudStack's texts have it."""
    step = min(size.bit_length() - 1, 40) // 10 if size else 0
    if not step:
        return f"{size} bytes"
    unit, digits = UNITS[step - 1]
    return f"{size / 1024**step:.{digits}f} {unit}"


def check_custom(call: Call, size: int) -> None:
    """`size`, in GiB, of an offering that leaves it open."""
    settings = call.simulator.settings
    low, high = (int(settings.number(f"custom.diskoffering.size.{end}")) for end in ("min", "max"))
    if not low <= size <= high:
        raise invalid(f"Volume size: {size} GB is out of allowed range. Min: {low}. Max: {high}")


def checked(call: Call, size: int) -> int:
    """A size in bytes that any volume may have; 0 stands for none."""
    top = int(call.simulator.settings.number("storage.max.volume.size"))
    if 0 < size < GIB or size < 0:
        raise invalid("Please specify a size of at least 1 GB.")
    if size > top * GIB:
        raise invalid(f"Requested volume size is {readable(size)}, but the maximum size allowed is {top} GB.")
    return size
