"""What a contract test makes of networks: isolated ones, tiers of VPCs, public addresses, and what runs in them.

Apart from conftest.py, whose Subject is this too. The surprising thing: an address has no name; it is of this suite
when the network or the VPC that it serves is, and it goes with either.
"""

from __future__ import annotations

from typing import Any

import pytest

Row = dict[str, Any]
NATTED = ["SourceNat", "StaticNat", "Firewall", "PortForwarding", "Lb", "Dhcp"]
OF_TIERS = ["SourceNat", "StaticNat", "NetworkACL", "PortForwarding", "Lb"]
RANGE = "10.77.0.0/16"


def services(row: Row) -> set[str]:
    return {service["name"] for service in row.get("service", [])}


class Networks:
    """The part of a Subject that knows networks."""

    made: list[tuple[str, Row]]

    @property
    def routed(self: Any) -> Row:
        """An advanced zone without security groups, in which networks can be made."""
        return self._once("routed", self._find_routed)

    def _find_routed(self: Any) -> Row:
        for zone in self.list("listZones", available=True):
            if zone["networktype"] == "Advanced" and not zone.get("securitygroupsenabled") and self._isolated(zone):
                return zone
        return pytest.skip("this cloud has no advanced zone in which isolated networks can be made")

    def _isolated(self: Any, zone: Row, **params: Any) -> list[Row]:
        """Offerings of isolated networks with a virtual router behind them."""
        asked = {"zoneid": zone["id"], "state": "Enabled", "guestiptype": "Isolated", "forvpc": False} | params
        rows = self.list("listNetworkOfferings", **asked)
        wanted = OF_TIERS if asked["forvpc"] else NATTED
        rows = [row for row in rows if set(wanted) <= services(row) and not row["specifyvlan"]]
        return [row for row in rows if "NSX" not in row["name"] and "Netris" not in row["name"]]

    @property
    def closed_offering(self: Any) -> Row:
        """An offering of isolated networks that nothing leaves until a rule allows it."""
        rows = [row for row in self._isolated(self.routed) if not row.get("egressdefaultpolicy")]
        return rows[0] if rows else pytest.skip("no offering of isolated networks whose egress is closed")

    @property
    def vpc_offering(self: Any) -> Row:
        rows = self.list("listVPCOfferings", zoneid=self.routed["id"], state="Enabled", isdefault=True)
        rows = [row for row in rows if "NSX" not in row["name"] and "Netris" not in row["name"]]
        if not rows or not self._isolated(self.routed, forvpc=True):
            pytest.skip("no VPC can be made here")
        return rows[0]

    # Making

    def network(self: Any, **params: Any) -> Row:
        """An isolated network, on which nothing runs."""
        chosen = {"name": self.name("net"), "zoneid": self.routed["id"]}
        if "networkofferingid" not in params:
            chosen["networkofferingid"] = self.closed_offering["id"]
        made = self.call("createNetwork", **(chosen | params))["network"]
        self.made.append(("network", made))
        return made

    def neighbour(self: Any, network: Row, **params: Any) -> Row:
        """A running machine on a network."""
        zone = self.routed
        templates = self.list("listTemplates", templatefilter="featured", zoneid=zone["id"])
        ready = [row for row in templates if row.get("isready") and row.get("templatetype") != "SYSTEM"]
        if not ready:
            pytest.skip("no template is ready")
        chosen = {
            "zoneid": zone["id"],
            "templateid": min(ready, key=lambda row: row.get("size", 0))["id"],
            "serviceofferingid": self.offerings_in(zone)[0]["id"],
            "networkids": [network["id"]],
        }
        return self.machine(**(chosen | params))

    def address(self: Any, **where: Any) -> Row:
        """A public address of a network (``networkid``) or a VPC (``vpcid``)."""
        made = self.call("associateIpAddress", **where)
        self.made.append(("address", made))
        job = self.wait(made)
        assert job.done, job.error
        return self.one("listPublicIpAddresses", id=made["id"])

    def vpc(self: Any, **params: Any) -> Row:
        """A VPC without tiers."""
        name = self.name("vpc")
        chosen = {"name": name, "displaytext": name, "zoneid": self.routed["id"], "cidr": RANGE}
        made = self.call("createVPC", **(chosen | {"vpcofferingid": self.vpc_offering["id"]} | params))
        self.made.append(("vpc", made))
        job = self.wait(made)
        assert job.done, job.error
        return self.one("listVPCs", id=made["id"])

    def tier(self: Any, vpc: Row, third: int = 1, **params: Any) -> Row:
        """A network of a VPC: 10.77.<third>.0/24."""
        ends = {"gateway": f"10.77.{third}.1", "netmask": "255.255.255.0", "vpcid": vpc["id"]}
        return self.network(
            **({"networkofferingid": self._isolated(self.routed, forvpc=True)[0]["id"]} | ends | params)
        )

    def made_id(self: Any, command: str, **params: Any) -> str:
        """The id of something that a job makes; the job must end well."""
        made = self.call(command, **params)
        job = self.wait(made)
        assert job.done, f"{command}: {job.error}"
        return str(made["id"])

    # Removing

    def remove_network_part(self: Any, kind: str, row: Row) -> bool:
        """Whether it is gone: machines that are destroyed but not expunged hold their network, and it its VPC."""
        command = {"network": "deleteNetwork", "address": "disassociateIpAddress", "vpc": "deleteVPC"}[kind]
        return self.wait(self.call(command, id=row["id"])).done
