"""licenses: there are none, as CloudStack asks no money for what a disk holds.

Visible differences: every list is empty, of public image projects too. The surprising thing: lists are answered all the
same, because clients look licences up before they make images. Upstream calls: none.
"""

from __future__ import annotations

from typing import Any

from gstack.errors import not_found
from gstack.protocol.call import Call
from gstack.protocol.listing import empty
from gstack.protocol.methods import method, refused
from gstack.translate import reasons


@method("compute.licenses.get", public=True)
def get(call: Call) -> dict[str, Any]:
    """GCE's answer for a licence that does not exist."""
    raise not_found(f"projects/{call.project}/global/licenses/{call.params['license']}")


@method("compute.licenses.list", public=True)
def list_(call: Call) -> dict[str, Any]:
    """None."""
    return empty(call)


for _verb in ("insert", "update", "delete", "getIamPolicy", "setIamPolicy", "testIamPermissions"):
    refused(f"compute.licenses.{_verb}", reasons.LICENSES)
for _verb in ("get", "getIamPolicy", "setIamPolicy", "testIamPermissions"):
    refused(f"compute.licenseCodes.{_verb}", reasons.LICENSES)
