"""Templates: the operator's and those users make from snapshots and volumes.

Apart from the catalogue, because users may own them. Surprising: a template is listed once for each zone
under the same id, and the filter is mandatory even when the id is given.
"""

from __future__ import annotations

from .. import limits
from ..call import Call
from ..errors import ApiError, denied, hidden, invalid
from ..jobs import Steps
from ..lists import ID_FILTERS, Filters, check_page, name_is, page, select
from ..model import Account, Project, Record, Row, Snapshot, Template, Volume
from ..registry import command
from ..world import date
from . import machine_choices, machines

# What a copy and a download show: the size that the storage of the recorded cloud, which is simulated, gives each.
MOCKED = {"size": 5 * 1024**2, "physicalsize": 5 * 1024**2}
NOT_IN_MIN = frozenset({"details", "forcks"})
FOR_OWNERS = frozenset({"status", "url"})  # the operator's templates show these to root alone
KINDS = ("featured", "self", "selfexecutable", "sharedexecutable", "executable", "community", "all")
NOT_YOURS = "Domain Admin and regular users can modify only their own Public templates"
UNKNOWN = "No enum constant com.cloud.template.VirtualMachineTemplate.TemplateFilter."
UPDATED = (
    "id",
    "name",
    "displaytext",
    "ispublic",
    "created",
    "isready",
    "format",
    "isfeatured",
    "crossZones",
    "ostypeid",
    "ostypename",
    "account",
    "project",
    "projectid",
    "templatetype",
    "hypervisor",
    "domain",
    "domainpath",
    "domainid",
    "details",
    "bits",
    "isdynamicallyscalable",
    "userdataid",
    "userdataname",
    "userdatapolicy",
    "tags",
)
# Where a row says something of one zone rather than of the template.
BEFORE_ZONE = ("account", "project", "projectid")


class Placed:
    """A template in one zone: what a row of listTemplates is about."""

    def __init__(self, template: Template, zone: str) -> None:
        self.template = template
        self.id, self.name, self.zone = template.id, template.name, zone


def view(call: Call, placed: Placed, minimal: bool = False) -> Row:
    template, here = placed.template, placed.template.zones[placed.zone]
    row: Row = {}
    inside = call.is_root or (template.account is not None and call.reaches(template))
    for key, value in template.row.items():
        if (minimal and key in NOT_IN_MIN) or (key in FOR_OWNERS and not inside):
            continue
        row[key] = here.get(key, value)
        if key == "size" and "physicalsize" in here:
            row["physicalsize"] = here["physicalsize"]
        if key == "ispublic":
            row["created"] = here["created"]
        if key in BEFORE_ZONE:
            row.update(zoneid=here["zoneid"], zonename=here["zonename"])
        if key == "arch":
            row["downloaddetails"] = places(call, placed)
    row["tags"] = call.world.tag_rows(template.id)
    return row


def places(call: Call, placed: Placed) -> object:
    """Where a template lies; only root sees on which image store, and on which primary storage."""
    rows = placed.template.zones[placed.zone]["downloaddetails"]
    assert isinstance(rows, list)
    if not call.is_root:
        return [row for row in rows if "datastoreRole" not in row]
    store = {"datastoreRole": "Image", "datastoreId": call.world.zone[placed.zone].row["imagestoreid"]}
    return [{**store, **row} for row in rows]


def chosen(call: Call, wanted: str, owner: Account) -> list[Template]:
    """The templates a filter stands for, seen from the caller or from the project of the call."""
    live = [template for template in call.world.template if template.state == "Active"]
    if wanted not in ("self", "all"):
        live = [template for template in live if template.row["isready"]]
    own = [template for template in live if template.account == owner.id]
    if wanted in ("self", "selfexecutable"):
        return own
    shared = [template for template in live if owner.id in template.shared]
    if wanted == "sharedexecutable":
        return shared
    if wanted == "community":
        others = [t for t in live if t.account and t.account != owner.id]
        return [t for t in others if t.row["ispublic"] and not t.row["isfeatured"]]
    if wanted == "featured":
        return [template for template in live if template.row["isfeatured"] and template.row["ispublic"]]
    if wanted == "executable":
        return [t for t in live if t.account == owner.id or t.row["ispublic"] or owner.id in t.shared]
    return live


FILTERS: Filters = {
    **ID_FILTERS,
    "name": name_is,
    "zoneid": lambda placed, wanted: placed.zone == getattr(wanted, "id", None),
    "hypervisor": lambda placed, wanted: str(placed.template.row["hypervisor"]).lower() == str(wanted).lower(),
}


@command("listTemplates", "template")
def list_templates(call: Call) -> Row:
    wanted = call.text("templatefilter") or ""
    if wanted.lower() not in KINDS:
        raise ApiError(431, UNKNOWN + wanted, 9999)
    if wanted.lower() == "all" and not call.is_root:
        raise invalid("Filter all can be specified by admin only")
    if not call.args.get("ids"):
        call.args.pop("ids", None)
    check_page(call)
    project = call.args.get("projectid")
    owner = call.world.account[project.account] if isinstance(project, Project) else call.account
    if isinstance(project, Project):
        call.check_access(project)
    unique = call.flag("showunique")
    rows = [
        Placed(template, zone)
        for template in chosen(call, wanted.lower(), owner)
        for zone in (list(template.zones)[:1] if unique else template.zones)
    ]
    rows = select(call, rows, FILTERS, lambda placed: (placed.name, str(placed.template.row["displaytext"])))
    minimal = "min" in (call.words("details") or ())
    return page(call, "template", rows, lambda placed: view(call, placed, minimal))


@command("createTemplate")
def create(call: Call) -> Row:
    world = call.world
    snapshot, volume = call.entity("snapshotid", Snapshot), call.entity("volumeid", Volume)
    ostype = call.need("ostypeid", Record)
    source = snapshot or volume
    if source is None:
        raise invalid("Failed to create private template record, neither volume ID nor snapshot ID were specified.")
    call.check_access(source)
    if volume is not None:
        machine = world.machine.get(volume.machine)
        if machine is not None and machine.state != "Stopped":
            raise hidden(f"Unable to create a template of {machines.described(machine)}: it is not stopped")
    if snapshot is not None and snapshot.state != "BackedUp":
        raise invalid(f"Snapshot id={snapshot.id} is not in BackedUp state yet and can't be used for template creation")
    owner = world.account[source.account]
    limits.check(world, owner, {"template": 1})
    template = Template(
        id=world.uuid(),
        number=world.template.take_number(),
        name=call.text("name") or "",
        account=owner.id,
        row={},
        zones={},
        bytes=source.size,
    )
    template.row = own_row(call, template, owner, source, ostype)
    zone = world.zone[source.zone]
    place = {"downloadState": "DOWNLOADED", "datastore": f"{zone.name}-sec", "downloadPercent": "100"}
    template.zones[zone.id] = {
        "zoneid": zone.id,
        "zonename": zone.name,
        "created": date(world.now()),
        "downloaddetails": [place],
    }
    template.state = "Creating"
    world.template.add(template)

    def fail() -> None:
        template.state, job.instance = "Inactive", ""

    def work() -> Steps:
        yield 0.6
        template.state = "Active"
        return {"template": view(call, Placed(template, zone.id))}

    job = call.submit(work, template, on_failure=fail)
    return {"id": template.id, "jobid": job.id}


def own_row(call: Call, template: Template, owner: Account, source: Snapshot | Volume, ostype: Record) -> Row:
    who = call.world.owner(owner.id)
    row: Row = {
        "id": template.id,
        "name": template.name,
        "displaytext": call.text("displaytext") or template.name,
        "ispublic": call.flag("ispublic"),
        "isready": True,
        "passwordenabled": call.flag("passwordenabled"),
        "format": "RAW",
        "isfeatured": False,
        "crossZones": False,
        "ostypeid": ostype.id,
        "ostypename": ostype.row["description"],
    }
    row.update((key, who[key]) for key in BEFORE_ZONE if key in who)
    row["status"] = "Download Complete"
    if isinstance(source, Volume):
        row["size"] = source.size
    row.update(templatetype="USER", hypervisor="Simulator")
    row.update((key, who[key]) for key in ("domain", "domainpath", "domainid"))
    row["isextractable"] = False
    if source.template:
        row["sourcetemplateid"] = source.template
    row.update(
        details={**origin_details(call, source), **(call.details() or {})},
        arch="x86_64",
        bits=0,
        sshkeyenabled=call.flag("sshkeyenabled"),
    )
    row["isdynamicallyscalable"] = call.flag("isdynamicallyscalable")
    row.update(directdownload=False, deployasis=False, forcks=False, requireshvm=True, tags=[], hasannotations=False)
    return row


def origin_details(call: Call, source: Snapshot | Volume) -> dict[str, str]:
    """A template takes over all details of the machine that its disk hangs on, hidden ones too."""
    world = call.world
    volume = world.volume.get(source.volume) if isinstance(source, Snapshot) else source
    machine = world.machine.get(volume.machine) if volume else None
    return dict(machine.details) if machine else {}


def need(call: Call) -> Template:
    template = call.entity("id", Template)
    if template is None:
        raise invalid("Unable to find template")
    return template


def refusal(call: Call, template: Template) -> str | None:
    """Why the caller may not change a template; None if it may. A job fails with it, a change at once is denied."""
    if call.is_root or (template.account is not None and call.reaches(template)):
        return None
    return NOT_YOURS if template.row.get("ispublic") else machine_choices.not_launchable(call, template)


def owned(call: Call) -> Template:
    template = need(call)
    refused = refusal(call, template)
    if refused:
        raise denied(refused)
    return template


def refuse_in_job(call: Call, template: Template) -> None:
    refused = refusal(call, template)
    if refused:
        raise ApiError(530, refused)


@command("deleteTemplate", "template")
def delete(call: Call) -> Row:
    template = need(call)

    def work() -> Steps:
        users = [m for m in call.world.machine if m.template == template.id and m.state != "Expunging"]
        if users and not call.flag("forced"):
            shown = ", ".join(machines.described(machine) for machine in users)
            text = f"Unable to delete template: {machine_choices.described(call.world, template)} because VM instances:"
            raise invalid(f"{text} [{shown}] are using it.")
        refuse_in_job(call, template)  # only now: even whoever may not delete it is told who uses it
        if template.state == "Inactive":
            raise invalid(f"Unable to find template {template.id}")
        yield 0.3
        zone = call.entity("zoneid", Record)
        if zone is not None and len(template.zones) > 1:
            template.zones.pop(zone.id, None)
        else:
            template.state = "Inactive"
            call.world.tags.pop(template.id, None)
        return {"success": True}

    return call.later(work, template)


@command("updateTemplate", "template")
def update(call: Call) -> Row:
    template = owned(call)
    for name in ("name", "displaytext"):
        if call.text(name):
            template.row[name] = call.text(name)
    template.name = str(template.row["name"])
    for name in ("passwordenabled", "sshkeyenabled", "isdynamicallyscalable"):
        if name in call.args:
            template.row[name] = call.flag(name)
    ostype = call.entity("ostypeid", Record)
    if ostype is not None:
        template.row.update(ostypeid=ostype.id, ostypename=ostype.row["description"])
    return {"template": updated_row(call, template)}


def updated_row(call: Call, template: Template) -> Row:
    """Not ready and bootable: what answers a change is not what the list says."""
    row = view(call, Placed(template, next(iter(template.zones))))
    return {**{key: row[key] for key in UPDATED if key in row}, "isready": False, "bootable": True}
