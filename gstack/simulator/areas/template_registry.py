"""Templates from elsewhere: registered by URL, then downloaded; and URLs from which one's own can be fetched.

Apart from templates that are made of disks. Surprising: registering answers at once, as a list with a row for each
zone, and there is no job to ask: whether the download is over shows in the template. What comes has the size that the
recorded cloud's storage, which is simulated, gives everything. Checks and texts are those of CloudStack's
`RegisterTemplateCmd`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .. import errors, limits
from ..call import Call
from ..errors import ApiError, invalid
from ..jobs import Steps
from ..model import Account, Record, Row, Template
from ..registry import command
from ..world import date
from . import machine_choices, template_urls, templates

if TYPE_CHECKING:
    from ..simulator import Simulator

KIND_OF_SUM = re.compile(r"^\{.*\}")
FAILED = "HTTP Server returned {} (expected 200 OK) "


def asked_zones(call: Call) -> list[Record]:
    one, many = call.entity("zoneid", Record), [key.strip() for key in call.raw.get("zoneids", "").split(",") if key]
    if one is not None and many:
        raise ApiError(431, "Both zoneid and zoneids cannot be specified at the same time", 9999)
    if one is None and not many:
        raise ApiError(431, "Either zoneid or zoneids is required. Both cannot be null.", 9999)
    if len(many) > 1 and "-1" in many:
        raise ApiError(431, "Parameter zoneids cannot combine all zones (-1) option with other zones", 9999)
    if many == ["-1"]:
        if not call.is_root:
            text = "Template registered for 'All zones' can only be owned a Root Admin account. "
            raise invalid(f"{text}Please select specific zone(s).")
        return list(call.world.zone)
    return [one] if one is not None else call.entities("zoneids", Record) or []


@command("registerTemplate")
def register(call: Call) -> Row:
    zones, owner, world = asked_zones(call), call.owner(), call.world
    ostype = call.entity("ostypeid", Record)
    if ostype is None:
        raise ApiError(431, "Please provide a guest OS type", 9999)
    for name in ("templatetag", "isrouting"):
        if name in call.args and not call.is_root:
            raise errors.denied(f"Parameter {name} can only be specified by a Root Admin, permission denied")
    hypervisor = template_urls.known_hypervisor(call.text("hypervisor") or "")
    template_urls.check(call.text("url") or "", call.text("format") or "")
    limits.check(world, owner, {"template": 1})
    number = world.template.take_number()
    template = Template(world.uuid(), number, call.text("name") or "", owner.id, {}, {})
    template.row = {**row_of(call, template, owner, ostype), "hypervisor": hypervisor}
    for zone in zones:
        place = {"downloadState": "DOWNLOAD_IN_PROGRESS", "datastore": f"{zone.name}-sec", "downloadPercent": "0"}
        ends: Row = {"zoneid": zone.id, "zonename": zone.name, "created": date(world.now())}
        template.zones[zone.id] = {**ends, "downloaddetails": [place]}
    template.ready_at = world.now() + call.simulator.job_seconds
    world.template.add(template)
    rows = [templates.view(call, templates.Placed(template, zone.id)) for zone in zones]
    return {"count": len(rows), "template": rows}


def row_of(call: Call, template: Template, owner: Account, ostype: Record) -> Row:
    who = call.world.owner(owner.id)
    row: Row = {"id": template.id, "name": template.name, "displaytext": call.text("displaytext") or template.name}
    row.update(ispublic=call.flag("ispublic"), isready=False, passwordenabled=call.flag("passwordenabled"))
    row.update(format=(call.text("format") or "").upper(), isfeatured=call.is_root and call.flag("isfeatured"))
    row.update(crossZones=False, ostypeid=ostype.id, ostypename=ostype.row["description"])
    row.update((key, who[key]) for key in templates.BEFORE_ZONE if key in who)
    row.update(status="0% Downloaded", templatetype="USER", hypervisor="Simulator")
    row.update((key, who[key]) for key in ("domain", "domainpath", "domainid"))
    row["isextractable"] = call.flag("isextractable")
    if call.text("checksum"):
        row["checksum"] = KIND_OF_SUM.sub("", call.text("checksum") or "")
    row.update(details=call.details() or {}, arch="x86_64", bits=call.number("bits") or 64)
    row.update(sshkeyenabled=call.flag("sshkeyenabled"), isdynamicallyscalable=call.flag("isdynamicallyscalable"))
    row.update(directdownload=False, deployasis=False, forcks=call.flag("forcks"))
    row.update(requireshvm=call.flag("requireshvm", True), url=call.text("url"), tags=[], hasannotations=False)
    return row


def download(simulator: Simulator) -> None:
    """Downloads that are over by now; the fault `no-download` makes one fail."""
    for template in simulator.world.template:
        if template.ready_at is None or template.ready_at > simulator.world.now():
            continue
        template.ready_at = None
        fault = simulator.faults.take("registerTemplate", "no-download")
        state = "DOWNLOAD_ERROR" if fault else "DOWNLOADED"
        for place in template.zones.values():
            rows = place["downloaddetails"]
            assert isinstance(rows, list)
            rows[0].update(downloadState=state, downloadPercent="0" if fault else "100")
            place.update({} if fault else templates.MOCKED)
        if fault:
            template.row["status"] = FAILED.format(404 if fault.code == 530 else fault.code)
            continue
        template.bytes = templates.MOCKED["size"]
        before = {key: template.row.pop(key) for key in list(template.row)}
        for key, value in before.items():  # the size stands where a list has it: before the type
            if key == "templatetype":
                template.row["size"] = template.bytes
            template.row[key] = value
        template.row.update(isready=True, status="Download Complete")


@command("extractTemplate", "template")
def extract(call: Call) -> Row:
    template, zone = templates.need(call), call.entity("zoneid", Record)

    def work() -> Steps:
        if not call.is_root and not template.row.get("isextractable"):
            shown = machine_choices.described(call.world, template)
            raise invalid(f"Unable to extract template {shown} as it's not extractable")
        templates.refuse_in_job(call, template)
        if not template.row["isready"]:
            raise invalid("The TEMPLATE has not been downloaded ")
        yield 0.1
        row: Row = {"id": template.id, "name": template.name, "accountid": call.account.id}
        if zone is not None:
            row.update(zoneid=zone.id, zonename=zone.name)
        place = zone.id if zone is not None else next(iter(template.zones))
        kept = next(one.row for one in call.world.system_vm if one.row["zoneid"] == place and one.name.startswith("s-"))
        url = f"http://{kept['publicip']}/userdata/{call.world.uuid()}.{str(template.row['format']).lower()}"
        row.update(extractMode=call.text("mode"), state="DOWNLOAD_URL_CREATED", url=url)
        return {"template": row}

    return call.later(work, template)
