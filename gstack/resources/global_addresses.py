"""globalAddresses: there are none; CloudStack's addresses belong to zones.

Served so that clients that list both kinds (gcloud does) get an answer. Upstream calls: none.
"""

from __future__ import annotations

from typing import Any

from gstack.errors import not_found
from gstack.protocol.call import Call
from gstack.protocol.listing import empty
from gstack.protocol.methods import method, refused
from gstack.translate import reasons

refused("compute.globalAddresses.insert", "CloudStack's addresses belong to zones. Reserve one in a region.")
refused("compute.globalAddresses.delete", "There are no global addresses.")
refused("compute.globalAddresses.setLabels", "There are no global addresses.")
refused("compute.globalAddresses.move", reasons.MOVED_ADDRESS)


@method("compute.globalAddresses.get")
def get(call: Call) -> dict[str, Any]:
    """Never there."""
    raise not_found(f"projects/{call.project}/global/addresses/{call.params['address']}")


@method("compute.globalAddresses.list")
def list_(call: Call) -> dict[str, Any]:
    """The empty list."""
    return empty(call)
