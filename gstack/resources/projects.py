"""projects: the CloudStack account of the credential, or a CloudStack project it belongs to.

Visible differences: there is no default service account, so gcloud sends none; there are no shared VPCs, no usage
reports and one network tier. The surprising thing: CloudStack has nothing like a project's metadata, so it is in the
store only. Its ssh keys, startup scripts and ``enable-oslogin`` become part of the user data of its instances, of those
that are there too: their guests read it at their next boot. Upstream calls: one for a get.
"""

from __future__ import annotations

from typing import Any

from gstack.operations import engine
from gstack.operations.instance_changes import check_fingerprint
from gstack.protocol.call import Call
from gstack.protocol.fingerprints import fingerprint
from gstack.protocol.ids import numeric_id
from gstack.protocol.listing import empty
from gstack.protocol.methods import method, refused
from gstack.protocol.policy import Policy
from gstack.protocol.rendering import render
from gstack.translate import project_metadata, reasons, userdata
from gstack.translate.quotas import PROJECT_METRICS, owner_row, quotas
from gstack.translate.times import NO_DATE, rfc3339

_NO_XPN = "There are no shared VPC networks: each project has its own."
_NO_MOVES = (
    "CloudStack keeps a machine and its volumes in their zone; what is to be elsewhere is made there, of an image that "
    "CloudStack's copyTemplate has brought to that zone."
)
_BODY = Policy(honoured=("items", "fingerprint"))


@method("compute.projects.get")
def get(call: Call) -> dict[str, Any]:
    """The project of the URL."""
    return view(call)


@method("compute.projects.setCommonInstanceMetadata", needs=("updateVirtualMachine",), body=_BODY)
def set_common_instance_metadata(call: Call) -> dict[str, Any]:
    """Replace the metadata that all instances share."""
    items, seen = call.body.get("items") or [], call.body.get("fingerprint") or None
    check_fingerprint(seen, project_metadata.read(call.caller.project), "metadata")
    userdata.compose(items, where="resource.items")
    return engine.start(
        call,
        "op.projects.setCommonInstanceMetadata",
        type="setMetadata",
        target=f"projects/{call.project}",
        plan={"fingerprint": seen, "secrets": engine.sealed(items)},
    )


@method("compute.projects.setDefaultNetworkTier", body=Policy(only={"networkTier": ("PREMIUM",)}))
def set_default_network_tier(call: Call) -> dict[str, Any]:
    """Say that the one network tier is the default."""
    return engine.done(call, type="setDefaultNetworkTier", target=f"projects/{call.project}")


@method("compute.projects.getXpnHost")
def get_xpn_host(call: Call) -> dict[str, Any]:
    """The host of shared VPCs: GCE's answer where there is none."""
    return {"kind": "compute#project"}


@method("compute.projects.getXpnResources")
def get_xpn_resources(call: Call) -> dict[str, Any]:
    """Projects that share this one's VPCs: none."""
    return {"kind": "compute#projectsGetXpnResources"}


@method("compute.projects.listXpnHosts", body=Policy(honoured=("organization",)))
def list_xpn_hosts(call: Call) -> dict[str, Any]:
    """The hosts of shared VPCs in an organization, whichever is asked about: none."""
    return empty(call)


def view(call: Call) -> dict[str, Any]:
    """A project."""
    project = call.caller.project
    row, metadata = owner_row(call.caller), project_metadata.read(project)
    return render(
        "project",
        id=str(numeric_id(str(row.get("id", project.id)))),
        creation_timestamp=rfc3339(row.get("created")) or NO_DATE,
        name=project.id,
        description=row.get("displaytext") or project.name,
        metadata=metadata,
        metadata_fingerprint=fingerprint(metadata),
        quotas=quotas(row, PROJECT_METRICS),
        self_link=call.links.project(project.id),
    )


for _verb in ("enableXpnHost", "disableXpnHost", "enableXpnResource", "disableXpnResource"):
    refused(f"compute.projects.{_verb}", _NO_XPN)
refused("compute.projects.moveInstance", _NO_MOVES)
refused("compute.projects.moveDisk", _NO_MOVES)
refused("compute.projects.setUsageExportBucket", "There are no buckets here; CloudStack's usage records are its own.")
refused("compute.projects.setCloudArmorTier", reasons.CLOUD_ARMOR)
