"""Terraform with Google's own provider, beyond its page: many things at once, in place, imported, gone, failed.

Apart from the page's recipes because what CloudStack holds is looked at, which a reader cannot. The provider is built
as the page says, so only ``make test-clients`` runs this. The surprising things: users of this CloudStack may expunge,
so that networks go at once, where otherwise they wait for a day; and the provider imports no labels.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gstack.demo import Cloud, Demo, prepared
from gstack.simulator import Simulator, serve

if os.environ.get("GSTACK_TEST_CLIENTS") != "all":
    pytest.skip("make test-clients runs it: its provider comes from a registry", allow_module_level=True)

SECONDS = 600
KINDS = (
    ("listVirtualMachines", {}),
    ("listVolumes", {}),
    ("listSnapshots", {}),
    ("listNetworks", {}),
    ("listVPCs", {}),
    ("listPublicIpAddresses", {}),
    ("listPublicIpAddresses", {"state": "Reserved"}),
    ("listFirewallRules", {}),
    ("listSecurityGroups", {}),
    ("listTags", {}),
)
HEAD = """
terraform {
  required_providers { google = { source = "hashicorp/google" } }
}
provider "google" {
  region = "de-fra"
  zone   = "de-fra-1"
}
"""
SHOP = (
    HEAD
    + """
variable "stage" { default = "test" }
variable "machine" { default = "e2-small" }
variable "open" { default = 8000 }

resource "google_compute_network" "shop" {
  name                    = "shop"
  auto_create_subnetworks = false
}
resource "google_compute_subnetwork" "shop" {
  name          = "shop"
  network       = google_compute_network.shop.id
  ip_cidr_range = "10.20.0.0/24"
}
resource "google_compute_firewall" "open" {
  count         = 4
  name          = "open-${count.index}"
  network       = google_compute_network.shop.id
  source_ranges = ["0.0.0.0/0"]
  target_tags   = ["web"]
  allow {
    protocol = "tcp"
    ports    = [var.open + count.index]
  }
}
resource "google_compute_address" "web" {
  count  = 2
  name   = "web-${count.index}"
  labels = { stage = var.stage }
}
resource "google_compute_instance" "web" {
  count                     = 2
  name                      = "web-${count.index}"
  machine_type              = var.machine
  tags                      = ["web"]
  labels                    = { stage = var.stage }
  allow_stopping_for_update = true
  boot_disk {
    initialize_params { image = "debian-cloud/debian-12" }
  }
  network_interface {
    subnetwork = google_compute_subnetwork.shop.id
    access_config { nat_ip = google_compute_address.web[count.index].address }
  }
}
resource "google_compute_instance" "db" {
  name         = "db"
  machine_type = "e2-small"
  boot_disk {
    initialize_params { image = "debian-cloud/debian-12" }
  }
  network_interface {
    subnetwork = google_compute_subnetwork.shop.id
    access_config {}
  }
}
"""
)
TITAN = (
    HEAD
    + """
resource "google_compute_instance" "giant" {
  name         = "giant"
  machine_type = "titan-does-not-fit"
  zone         = "ch-gva-2"
  boot_disk {
    initialize_params { image = "debian-cloud/debian-12" }
  }
  network_interface { network = "default" }
}
"""
)


@pytest.fixture(scope="module")
def world() -> Simulator:
    return Simulator(job_seconds=0.1, extras=True, settings={"allow.user.expunge.recover.vm": True})


@pytest.fixture(scope="module")
def demo(world: Simulator) -> Iterator[Demo]:
    """A gateway of its own, whose CloudStack can be looked into."""
    server = serve(world)
    cloud = Cloud(f"http://localhost:{server.port}/client/api", *world.keys("tenant"), zone="ch-gva-2")
    try:
        with prepared(cloud=cloud, gcloud=False) as running:
            yield running
    finally:
        server.stop()


@pytest.fixture
def terraform(run: Callable[..., Any], tmp_path: Path, terraform_configuration: Path) -> Callable[..., Any]:
    """terraform in a folder of its own, with the provider that the page builds."""
    words = ("env", f"TF_CLI_CONFIG_FILE={terraform_configuration}", "terraform")

    def start(command: str, *more: str) -> Any:
        return run(*words, command, *more, folder=tmp_path, seconds=SECONDS)

    return start


def _held(world: Simulator) -> dict[str, list[str]]:
    """What the account holds, by list."""
    found = {}
    for command, params in KINDS:
        answer = world.do("tenant", command, listall="true", **params)
        rows = next((value for value in answer.values() if isinstance(value, list)), [])
        found[f"{command} {params}"] = sorted(str(row.get("id") or row) for row in rows)
    return found


def _ok(ran: Any) -> str:
    assert ran.status == 0, ran.out + ran.err
    return str(ran.out)


def test_a_shop_made_at_once_changed_imported_and_gone_leaves_nothing(
    world: Simulator, terraform: Callable[..., Any], tmp_path: Path
) -> None:
    before = _held(world)
    (tmp_path / "main.tf").write_text(SHOP)
    assert "11 added" in _ok(terraform("apply", "-no-color", "-auto-approve", "-parallelism=10"))
    assert "No changes." in _ok(terraform("plan", "-no-color", "-detailed-exitcode"))
    changes = ["-var=stage=live", "-var=machine=e2-medium", "-var=open=9000"]
    done = _ok(terraform("apply", "-no-color", "-auto-approve", "-parallelism=10", *changes))
    assert "0 added, 8 changed, 0 destroyed" in done
    assert "No changes." in _ok(terraform("plan", "-no-color", "-detailed-exitcode", *changes))
    imported = {
        "google_compute_firewall.open[0]": "global/firewalls/open-0",
        "google_compute_subnetwork.shop": "regions/de-fra/subnetworks/shop",
        "google_compute_address.web[0]": "regions/de-fra/addresses/web-0",
        "google_compute_instance.db": "zones/de-fra-1/instances/db",
    }
    _ok(terraform("state", "rm", *imported))
    for address, link in imported.items():
        _ok(terraform("import", "-no-color", *changes, address, f"projects/tenant/{link}"))
    planned = _ok(terraform("plan", "-no-color", *changes))
    assert "0 to add, 2 to change, 0 to destroy" in planned
    assert re.findall(r"# (\S+) will be", planned) == ["google_compute_address.web[0]", "google_compute_instance.db"]
    assert "11 destroyed" in _ok(terraform("destroy", "-no-color", "-auto-approve", "-parallelism=10"))
    assert _held(world) == before


def test_an_operation_that_fails_is_seen_to_have_failed(
    world: Simulator, terraform: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "main.tf").write_text(TITAN)
    ran = terraform("apply", "-no-color", "-auto-approve")
    assert ran.status == 1
    assert "does not have enough resources available to fulfill the request" in ran.err
    for command in ("listVirtualMachines", "listVolumes"):
        assert world.do("tenant", command) == {}
