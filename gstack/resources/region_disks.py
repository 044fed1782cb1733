"""regionDisks and regionDiskTypes: refused, all of them, by design.

Apart from disks because nothing here is ever asked of CloudStack. The surprising thing: lists are refused as well,
since an empty one would say that regional disks could be made.
"""

from __future__ import annotations

from gstack.protocol.discovery import document
from gstack.protocol.methods import refused

REASON = "CloudStack keeps a volume in one zone and copies it to no other: make a disk in a zone."

for _method in document().methods.values():
    if _method.resource in ("regionDisks", "regionDiskTypes"):
        refused(_method.id, REASON)
