"""Terraform with Google's own provider, beyond its page: many things at once, in place, imported, gone, failed.

Apart from the page's recipes because what CloudStack holds is looked at, which a reader cannot. Only
``make test-clients`` runs this. The surprising thing: the provider imports no labels.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gstack.simulator import Simulator
from tests.clients.holdings import held
from tests.clients.provider import HEAD, demo, ok, terraform, world

__all__ = ["demo", "terraform", "world"]  # fixtures

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
STORE = (
    HEAD
    + """
variable "stage" { default = "test" }
variable "size" { default = 12 }

data "google_compute_regions" "all" {}
data "google_compute_zones" "near" {}
data "google_compute_machine_types" "small" {
  zone   = "de-fra-1"
  filter = "name = micro"
}
data "google_compute_image" "debian" {
  family  = "debian-12"
  project = "debian-cloud"
}
data "google_compute_images" "debian" {
  project = "debian-cloud"
  filter  = "family = debian-12"
}
resource "google_compute_network" "store" {
  name = "store"
}
resource "google_compute_disk" "of_image" {
  name   = "of-image"
  zone   = "ch-gva-2" # elsewhere its carrier is the first machine of the network default, which then stays
  image  = data.google_compute_image.debian.self_link
  size   = var.size
  labels = { stage = var.stage }
}
resource "google_compute_snapshot" "kept" {
  name        = "kept"
  source_disk = google_compute_instance.store.name # its boot disk: one that never ran has no storage to copy
}
resource "google_compute_disk" "of_snapshot" {
  name     = "of-snapshot"
  snapshot = google_compute_snapshot.kept.id
}
resource "google_compute_instance" "store" {
  name         = "store"
  machine_type = data.google_compute_machine_types.small.machine_types[0].name
  boot_disk {
    initialize_params { image = "debian-cloud/debian-12" }
  }
  network_interface { network = google_compute_network.store.id }
  lifecycle { ignore_changes = [attached_disk] }
}
resource "google_compute_attached_disk" "of_snapshot" {
  disk     = google_compute_disk.of_snapshot.id
  instance = google_compute_instance.store.id
}

data "google_compute_network" "store" { name = google_compute_network.store.name }
data "google_compute_subnetwork" "store" { self_link = google_compute_instance.store.network_interface[0].subnetwork }
data "google_compute_disk" "of_image" {
  name = google_compute_disk.of_image.name
  zone = "ch-gva-2"
}
data "google_compute_snapshot" "kept" { name = google_compute_snapshot.kept.name }
data "google_compute_instance" "store" { name = google_compute_instance.store.name }

output "seen" {
  value = join(" ", [
    contains(data.google_compute_regions.all.names, "de-fra"),
    contains(data.google_compute_zones.near.names, "de-fra-1"),
    data.google_compute_images.debian.images[0].name == data.google_compute_image.debian.name,
    data.google_compute_network.store.name,
    data.google_compute_subnetwork.store.ip_cidr_range == "" ? "none" : "range",
    data.google_compute_disk.of_image.size,
    data.google_compute_snapshot.kept.disk_size_gb,
    data.google_compute_instance.store.machine_type,
  ])
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


def _imported(terraform: Callable[..., Any], links: dict[str, str], variables: list[str]) -> str:
    """What terraform plans once it has forgotten these resources and been told of them again."""
    ok(terraform("state", "rm", *links))
    for address, link in links.items():
        ok(terraform("import", "-no-color", *variables, address, f"projects/tenant/{link}"))
    return ok(terraform("plan", "-no-color", *variables))


def test_a_shop_made_at_once_changed_imported_and_gone_leaves_nothing(
    world: Simulator, terraform: Callable[..., Any], tmp_path: Path
) -> None:
    before = held(world)
    (tmp_path / "main.tf").write_text(SHOP)
    assert "11 added" in ok(terraform("apply", "-no-color", "-auto-approve", "-parallelism=10"))
    assert "No changes." in ok(terraform("plan", "-no-color", "-detailed-exitcode"))
    changes = ["-var=stage=live", "-var=machine=e2-medium", "-var=open=9000"]
    done = ok(terraform("apply", "-no-color", "-auto-approve", "-parallelism=10", *changes))
    assert "0 added, 8 changed, 0 destroyed" in done
    assert "No changes." in ok(terraform("plan", "-no-color", "-detailed-exitcode", *changes))
    imported = {
        "google_compute_firewall.open[0]": "global/firewalls/open-0",
        "google_compute_subnetwork.shop": "regions/de-fra/subnetworks/shop",
        "google_compute_address.web[0]": "regions/de-fra/addresses/web-0",
        "google_compute_instance.db": "zones/de-fra-1/instances/db",
    }
    planned = _imported(terraform, imported, changes)
    assert "0 to add, 2 to change, 0 to destroy" in planned
    assert re.findall(r"# (\S+) will be", planned) == ["google_compute_address.web[0]", "google_compute_instance.db"]
    assert "11 destroyed" in ok(terraform("destroy", "-no-color", "-auto-approve", "-parallelism=10"))
    assert held(world) == before


def test_disks_of_images_and_snapshots_are_seen_changed_imported_and_gone(
    world: Simulator, terraform: Callable[..., Any], tmp_path: Path
) -> None:
    before = held(world)
    (tmp_path / "main.tf").write_text(STORE)
    done = ok(terraform("apply", "-no-color", "-auto-approve"))
    assert "6 added" in done
    assert 'seen = "true true true store range 12 10 micro"' in done
    assert "No changes." in ok(terraform("plan", "-no-color", "-detailed-exitcode"))
    changes = ["-var=stage=live", "-var=size=14"]
    assert "0 added, 1 changed, 0 destroyed" in ok(terraform("apply", "-no-color", "-auto-approve", *changes))
    assert "No changes." in ok(terraform("plan", "-no-color", "-detailed-exitcode", *changes))
    imported = {
        "google_compute_network.store": "global/networks/store",
        "google_compute_snapshot.kept": "global/snapshots/kept",
        "google_compute_disk.of_snapshot": "zones/de-fra-1/disks/of-snapshot",
        "google_compute_attached_disk.of_snapshot": "zones/de-fra-1/instances/store/of-snapshot",
    }
    assert "0 to add, 2 to change, 0 to destroy" in _imported(terraform, imported, changes), "no labels imported"
    assert "6 destroyed" in ok(terraform("destroy", "-no-color", "-auto-approve"))
    assert held(world) == before


def test_an_operation_that_fails_is_seen_to_have_failed(
    world: Simulator, terraform: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "main.tf").write_text(TITAN)
    ran = terraform("apply", "-no-color", "-auto-approve")
    assert ran.status == 1
    assert "does not have enough resources available to fulfill the request" in ran.err
    for command in ("listVirtualMachines", "listVolumes"):
        assert world.do("tenant", command) == {}
