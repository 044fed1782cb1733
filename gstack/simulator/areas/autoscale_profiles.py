"""Automatic scaling: the profile that says what the machines of a group are like.

Apart from the rules and the groups. Written from CloudStack's source and listApis. Surprising: parameters
come as a map of name and value pairs and are shown as one object.
"""

from __future__ import annotations

from ..call import Call
from ..errors import invalid
from ..jobs import Steps
from ..lists import ID_FILTERS, Filters, check_page, page, same_id, select, visible_accounts
from ..model import Record, Row, Template, User
from ..model_owned import ScaleProfile, UserData
from ..registry import command
from . import machine_choices

DEPLOY_PARAMETERS = frozenset(
    {"rootdisksize", "diskofferingid", "disksize", "overridediskofferingid", "networkids", "securitygroupids"}
    | {"affinitygroupids", "keypairs", "displayname", "group", "hypervisor", "keyboard", "displayvm"}
)
GRACE_SECONDS = 120


def view(call: Call, profile: ScaleProfile) -> Row:
    row: Row = {"id": profile.id, "zoneid": profile.zone, "serviceofferingid": profile.offering}
    row.update(templateid=profile.template, otherdeployparams=profile.deploy, expungevmgraceperiod=profile.grace)
    if profile.counters:
        row["counterparam"] = profile.counters
    if profile.userdata:
        row["userdata"] = profile.userdata
    if profile.user:
        row["autoscaleuserid"] = profile.user
    row.update(call.world.owner(profile.account))
    if call.is_root:
        row["fordisplay"] = True
    return row


def pairs(call: Call, name: str) -> dict[str, str] | None:
    given = call.maps(name)
    return {one["name"]: one.get("value", "") for one in given if "name" in one} if given else None


def fill(call: Call, profile: ScaleProfile) -> None:
    """Takes over what the call gives, checked."""
    offering, template = call.entity("serviceofferingid", Record), call.entity("templateid", Template)
    if offering is not None and offering.row["iscustomized"]:
        raise invalid("Unable to use dynamic service offering in AutoScale vm profile")
    if template is not None and not template.row.get("ispublic"):
        call.check_access(template)
    grace = call.number("expungevmgraceperiod")
    if grace is not None and grace < 0:
        raise invalid("Expunge Vm Grace Period cannot be less than 0.")
    deploy = pairs(call, "otherdeployparams")
    unknown = sorted((deploy or {}).keys() - DEPLOY_PARAMETERS)
    if unknown:
        raise invalid(f"Unsupported otherdeployparams key: {unknown[0]}. Supported: {sorted(DEPLOY_PARAMETERS)}")
    user, data = call.entity("autoscaleuserid", User), call.entity("userdataid", UserData)
    if user is not None and user.account != profile.account:
        raise invalid("AutoScale User id does not belong to the same account")
    userdata = call.text("userdata")
    profile.offering = offering.id if offering else profile.offering
    profile.template = template.id if template else profile.template
    profile.grace = profile.grace if grace is None else grace
    profile.deploy = profile.deploy if deploy is None else deploy
    profile.counters = pairs(call, "counterparam") or profile.counters
    profile.user = user.id if user else profile.user
    if userdata:
        profile.userdata = machine_choices.check_userdata(call, userdata)
    elif data is not None:
        profile.userdata = data.userdata


@command("createAutoScaleVmProfile")
def create(call: Call) -> Row:
    owner, zone, world = call.owner(), call.need("zoneid", Record), call.world
    made = ScaleProfile(world.uuid(), world.scale_profile.take_number(), owner.id, zone.id, "", "", GRACE_SECONDS)
    fill(call, made)
    profile = world.scale_profile.add(made)

    def work() -> Steps:
        yield 0.1
        return {"autoscalevmprofile": view(call, profile)}

    return {"id": profile.id, "jobid": call.submit(work, profile).id}


@command("updateAutoScaleVmProfile", "scale_profile")
def update(call: Call) -> Row:
    profile = call.need("id", ScaleProfile)

    def work() -> Steps:
        yield 0.1
        if any(g.profile == profile.id and g.state != "DISABLED" for g in call.world.scale_group):
            text = "The AutoScale Vm Profile can be updated only if the Vm Group it is associated with is disabled"
            raise invalid(f"{text} in state")
        fill(call, profile)
        return {"autoscalevmprofile": view(call, profile)}

    return call.later(work, profile)


@command("deleteAutoScaleVmProfile", "scale_profile")
def delete(call: Call) -> Row:
    profile = call.need("id", ScaleProfile)

    def work() -> Steps:
        yield 0.1
        if any(group.profile == profile.id for group in call.world.scale_group):
            raise invalid("Cannot delete AutoScale Vm Profile when it is in use by one more vm groups")
        call.world.scale_profile.remove(profile)
        return {"success": True}

    return call.later(work, profile)


FILTERS: Filters = {
    **ID_FILTERS,
    "zoneid": same_id("zone"),
    "templateid": same_id("template"),
    "serviceofferingid": same_id("offering"),
}


@command("listAutoScaleVmProfiles", "scale_profile")
def list_profiles(call: Call) -> Row:
    check_page(call)
    mine = visible_accounts(call)
    rows = [profile for profile in call.world.scale_profile if mine(profile.account)]
    rows = select(call, rows, FILTERS, lambda profile: ())
    return page(call, "autoscalevmprofile", rows, lambda profile: view(call, profile))
