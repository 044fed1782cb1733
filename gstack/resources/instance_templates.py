"""instanceTemplates and regionInstanceTemplates: rows of gstack's store, of all regions or of one.

CloudStack has nothing of the kind, so a template costs it no call, and losing the store loses the templates. A template
is what it was when it was made: machine types, images and networks are looked for when an instance is made of it. One
that is made of an instance costs two calls, and stays as it is whatever becomes of that. The members that no instance
may have are refused here already.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from gstack.errors import already_exists, invalid, not_found, required
from gstack.operations import engine
from gstack.protocol.bodies import shown
from gstack.protocol.call import Call
from gstack.protocol.fingerprints import fingerprint
from gstack.protocol.listing import listing
from gstack.protocol.methods import method, refused
from gstack.protocol.rendering import render
from gstack.store import overlay
from gstack.translate import (
    instance_policy,
    instance_templates,
    kept,
    permissions,
    places,
    scheduling,
    scopes,
    template_of_instance,
    userdata,
)
from gstack.translate.instance_templates import KIND, Template
from gstack.translate.names import checked_name
from gstack.translate.times import rfc3339

_CONFIG = "sourceInstanceParams.diskConfigs[]"
BODY = instance_policy.of(
    "InstanceProperties",
    "properties.",
    honoured=("name", "sourceInstance", *(f"{_CONFIG}.{name}" for name in ("deviceName", "autoDelete", "customImage"))),
    remembered=("description",),
    only={f"{_CONFIG}.instantiateFrom": template_of_instance.WAYS},
)

refused("compute.instanceTemplates.setIamPolicy", permissions.NO_OWN_POLICY)


@method("compute.instanceTemplates.get")
def get(call: Call) -> dict[str, Any]:
    """One template of all regions, by name or number."""
    return view(call, _found(call, None, call.params["instanceTemplate"]))


@method("compute.regionInstanceTemplates.get")
def get_of_region(call: Call) -> dict[str, Any]:
    """One template of a region, by name or number."""
    return view(call, _found(call, _region(call), call.params["instanceTemplate"]))


@method("compute.instanceTemplates.list")
def list_(call: Call) -> dict[str, Any]:
    """The templates of all regions."""
    return _list(call, None)


@method("compute.regionInstanceTemplates.list")
def list_of_region(call: Call) -> dict[str, Any]:
    """The templates of one region."""
    return _list(call, _region(call))


@method("compute.instanceTemplates.aggregatedList")
def aggregated_list(call: Call) -> dict[str, Any]:
    """All templates."""
    found = instance_templates.listed(call.caller.project)
    rows = scopes.grouped(found, lambda one: instance_templates.container(one["region"]))
    return scopes.aggregated_in(call, ("global", "regions"), rows, KIND, kept.shape(partial(view, call)))


@method("compute.instanceTemplates.insert", needs=("deployVirtualMachine",), body=BODY)
def insert(call: Call) -> dict[str, Any]:
    """Keep a template for all regions."""
    return _insert(call, None)


@method("compute.regionInstanceTemplates.insert", needs=("deployVirtualMachine",), body=BODY)
def insert_in_region(call: Call) -> dict[str, Any]:
    """Keep a template for one region."""
    return _insert(call, _region(call))


@method("compute.instanceTemplates.delete", needs=("deployVirtualMachine",))
def delete(call: Call) -> dict[str, Any]:
    """Forget a template; instances made of it stay."""
    return _delete(call, None)


@method("compute.regionInstanceTemplates.delete", needs=("deployVirtualMachine",))
def delete_of_region(call: Call) -> dict[str, Any]:
    """Forget a template of a region; instances made of it stay."""
    return _delete(call, _region(call))


@method("compute.instanceTemplates.getIamPolicy")
def get_iam_policy(call: Call) -> dict[str, Any]:
    """The policy of a template, which has none."""
    _found(call, None, call.params["resource"])
    return permissions.policy()


@method("compute.instanceTemplates.testIamPermissions", body=permissions.ASKED)
def test_iam_permissions(call: Call) -> dict[str, Any]:
    """Those of the permissions that the caller has on a template."""
    _found(call, None, call.params["resource"])
    return permissions.held(call)


def view(call: Call, template: Template) -> dict[str, Any]:
    """A template."""
    region = template["region"]
    container = call.links.absolute(f"projects/{call.project}/{instance_templates.container(region)}")
    return render(
        "instance_template",
        id=template["number"],
        creation_timestamp=rfc3339(template["created"]),
        name=template["name"],
        description=template["description"],
        properties=_properties(call, template),
        region=container if region else None,
        source_instance=template.get("sourceInstance"),
        source_instance_params=template.get("sourceInstanceParams"),
        self_link=f"{container}/instanceTemplates/{template['name']}",
    )


def _properties(call: Call, template: Template) -> dict[str, Any]:
    """The properties as they were given, with what GCE adds."""
    said = shown("InstanceProperties", instance_templates.properties(template))
    items = (said.get("metadata") or {}).get("items") or []
    metadata = {"kind": "compute#metadata", "fingerprint": fingerprint(items), **({"items": items} if items else {})}
    base = {"kind": "compute#attachedDisk", "type": "PERSISTENT", "mode": "READ_WRITE"}
    disks = [
        {**base, "boot": False, "autoDelete": False, "deviceName": f"persistent-disk-{index}", **disk, "index": index}
        for index, disk in enumerate(said.get("disks") or [])
    ]
    nics = [
        {"kind": "compute#networkInterface", "name": f"nic{index}", **nic, **_links(call, nic)}
        for index, nic in enumerate(said.get("networkInterfaces") or [])
    ]
    return {
        **said,
        "metadata": metadata,
        "scheduling": scheduling.shown(said.get("scheduling", {})),
        **({"disks": disks} if disks else {}),
        **({"networkInterfaces": nics} if nics else {}),
    }


def _links(call: Call, nic: dict[str, Any]) -> dict[str, Any]:
    """An interface's network as GCE shows it: with its project."""
    given = str(nic.get("network") or "")
    if not given or "projects/" in given:
        return {}
    name = given.rpartition("/")[2]
    return {"network": call.links.absolute(f"projects/{call.project}/global/networks/{name}")}


def _insert(call: Call, region: str | None) -> dict[str, Any]:
    name = checked_name(call.body.get("name"))
    body = template_of_instance.described(
        call.caller, call.body, alias=call.params["project"], link=call.links.absolute
    )
    properties = body.get("properties")
    if not properties:
        raise required("resource.properties")
    if not properties.get("machineType"):
        raise invalid("resource.properties.machineType", "", "A template needs a machine type.")
    items = (properties.get("metadata") or {}).get("items") or []
    userdata.compose(items, where="resource.properties.metadata.items")
    scheduling.check(scheduling.said(properties.get("scheduling") or {}), "resource.properties.scheduling")
    path = instance_templates.path(call.project, region, name)
    key = instance_templates.store_key(call.caller.project, region, name)
    content = instance_templates.row(call.caller.project, region, body)
    if not overlay.add(KIND, key, call.caller.project.id, content):
        raise already_exists(path)
    return engine.done(call, type="insert", target=path, target_id=content["number"])


def _delete(call: Call, region: str | None) -> dict[str, Any]:
    found = _found(call, region, call.params["instanceTemplate"])
    path = instance_templates.path(call.project, region, found["name"])
    overlay.drop(KIND, instance_templates.store_key(call.caller.project, region, found["name"]))
    return engine.done(call, type="delete", target=path, target_id=int(found["number"]))


def _list(call: Call, region: str | None) -> dict[str, Any]:
    found = [one for one in instance_templates.listed(call.caller.project) if one["region"] == region]
    return listing(call, found, kept.shape(partial(view, call)))


def _found(call: Call, region: str | None, wanted: str) -> Template:
    found = instance_templates.find(call.caller.project, region, wanted)
    if found is None:
        raise not_found(instance_templates.path(call.project, region, wanted))
    return found


def _region(call: Call) -> str:
    return places.require_region(call.caller, call.params["region"])
