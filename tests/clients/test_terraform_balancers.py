"""Terraform's load balancing: groups, services, pools and forwarding rules, made, changed in place, imported, gone.

Apart from the rest of Terraform because packets say what came of it. Only ``make test-clients`` runs it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gstack.simulator import Simulator
from tests.clients.holdings import held
from tests.clients.provider import HEAD, demo, ok, terraform, world

__all__ = ["demo", "terraform", "world"]
CLIENT = "9.9.9.9"
FRONTS = (("service", 80), ("service", 81), ("service", 443), ("pool", 443))
FRONT = (
    HEAD
    + """
variable "stage" { default = "test" }
variable "sticky" { default = "NONE" }
variable "members" { default = 2 }
variable "health" { default = 5 }

resource "google_compute_network" "front" {
  name                    = "front"
  auto_create_subnetworks = false
}
resource "google_compute_subnetwork" "front" {
  name          = "front"
  network       = google_compute_network.front.id
  ip_cidr_range = "10.30.0.0/24"
}
resource "google_compute_firewall" "web" {
  name          = "front-web"
  network       = google_compute_network.front.id
  source_ranges = ["9.0.0.0/8"]
  allow {
    protocol = "tcp"
    ports    = ["80-81", "443"]
  }
}
resource "google_compute_address" "front" {
  name = "front"
}
resource "google_compute_instance" "web" {
  count        = 2
  name         = "front-${count.index}"
  machine_type = "e2-small"
  boot_disk {
    initialize_params { image = "debian-cloud/debian-12" }
  }
  network_interface { subnetwork = google_compute_subnetwork.front.id }
}

resource "google_compute_instance_group" "web" {
  name        = "web"
  description = "all of them"
  instances   = slice(google_compute_instance.web[*].self_link, 0, var.members)
  named_port {
    name = "http"
    port = 80 + (var.members == 2 ? 0 : 1)
  }
}
resource "google_compute_region_health_check" "tcp" {
  name               = "tcp"
  check_interval_sec = var.health
  tcp_health_check { port = 80 }
}
resource "google_compute_region_backend_service" "web" {
  name                  = "web"
  load_balancing_scheme = "EXTERNAL"
  protocol              = "TCP"
  session_affinity      = var.sticky
  timeout_sec           = 30
  health_checks         = [google_compute_region_health_check.tcp.id]
  backend {
    group          = google_compute_instance_group.web.self_link
    balancing_mode = "CONNECTION"
  }
}
resource "google_compute_forwarding_rule" "service" {
  name                  = "service"
  load_balancing_scheme = "EXTERNAL"
  backend_service       = google_compute_region_backend_service.web.id
  ip_address            = google_compute_address.front.address
  ports                 = ["80", "81"]
  labels                = { stage = var.stage }
}
resource "google_compute_forwarding_rule" "tls" {
  name                  = "tls" # made beside the other one at its address
  load_balancing_scheme = "EXTERNAL"
  backend_service       = google_compute_region_backend_service.web.id
  ip_address            = google_compute_address.front.address
  ports                 = ["443"]
}

resource "google_compute_http_health_check" "old" {
  count        = 2
  name         = "old-${count.index}"
  request_path = "/health"
}
resource "google_compute_target_pool" "web" {
  name             = "web"
  instances        = slice(google_compute_instance.web[*].self_link, 0, var.members)
  session_affinity = "CLIENT_IP"
  health_checks    = [google_compute_http_health_check.old[var.members - 1].name]
}
resource "google_compute_forwarding_rule" "pool" {
  name       = "pool"
  target     = google_compute_target_pool.web.self_link
  port_range = "443"
  labels     = { stage = var.stage }
}

data "google_compute_instance_group" "web" { name = google_compute_instance_group.web.name }
data "google_compute_region_backend_service" "web" { name = google_compute_region_backend_service.web.name }
data "google_compute_forwarding_rule" "pool" { name = google_compute_forwarding_rule.pool.name }

output "seen" {
  value = join(" ", [
    data.google_compute_instance_group.web.size,
    data.google_compute_region_backend_service.web.protocol,
    data.google_compute_forwarding_rule.pool.port_range,
  ])
}
output "service" { value = google_compute_forwarding_rule.service.ip_address }
output "pool" { value = google_compute_forwarding_rule.pool.ip_address }
"""
)
IMPORTED = {
    "google_compute_instance_group.web": "zones/de-fra-1/instanceGroups/web",
    "google_compute_region_backend_service.web": "regions/de-fra/backendServices/web",
    "google_compute_forwarding_rule.service": "regions/de-fra/forwardingRules/service",
    "google_compute_target_pool.web": "regions/de-fra/targetPools/web",
    "google_compute_forwarding_rule.pool": "regions/de-fra/forwardingRules/pool",
    "google_compute_region_health_check.tcp": "regions/de-fra/healthChecks/tcp",
    "google_compute_http_health_check.old[0]": "global/httpHealthChecks/old-0",
}


def test_balancers_made_changed_in_place_imported_and_gone_leave_nothing(
    world: Simulator, terraform: Callable[..., Any], tmp_path: Path
) -> None:
    def arriving(output: str, port: int) -> int:
        address = ok(terraform("output", "-raw", output)).strip()
        return len(world.reaches(CLIENT, address, port=port).machines)

    before = held(world)
    (tmp_path / "main.tf").write_text(FRONT)
    made = ok(terraform("apply", "-no-color", "-auto-approve", "-parallelism=10"))
    assert "15 added" in made
    assert 'seen = "2 TCP 443-443"' in made
    assert "No changes." in ok(terraform("plan", "-no-color", "-detailed-exitcode"))
    assert [arriving(*one) for one in FRONTS] == [2, 2, 2, 2]
    changes = ["-var=stage=live", "-var=sticky=CLIENT_IP", "-var=members=1", "-var=health=7"]
    done = ok(terraform("apply", "-no-color", "-auto-approve", "-parallelism=10", *changes))
    assert "0 added, 6 changed, 0 destroyed" in done
    assert "No changes." in ok(terraform("plan", "-no-color", "-detailed-exitcode", *changes))
    assert [arriving(*one) for one in FRONTS] == [1, 1, 1, 1]
    ok(terraform("state", "rm", *IMPORTED))
    for address, link in IMPORTED.items():
        ok(terraform("import", "-no-color", *changes, address, f"projects/tenant/{link}"))
    assert "0 to add, 2 to change, 0 to destroy" in ok(terraform("plan", "-no-color", *changes)), "no labels imported"
    assert "15 destroyed" in ok(terraform("destroy", "-no-color", "-auto-approve", "-parallelism=10"))
    assert held(world) == before
