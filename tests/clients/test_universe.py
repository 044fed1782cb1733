"""A universe of one's own: Google's library finds the gateway by its domain alone, with a key file made for it.

Apart from the other tests of that library, which set an endpoint. The surprising thing: the name exists in this process
only, where looking it up leads to loopback; certificate, signature and waiting are the real ones.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import compute_v1

from gstack import certificates
from gstack.demo import Demo, prepared

DOMAIN = "gce.test"
FAMILY = "projects/debian-cloud/global/images/family/debian-12"


@pytest.fixture
def universe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[tuple[Demo, list[str]]]:
    """A gateway that answers for ``compute.gce.test``, this process in its universe, and the hosts it looks up."""
    with prepared(job_seconds=0.1, gcloud=False) as demo:
        settings = demo.gateway.settings
        demo.gateway.stop()
        certificates.ensure_certificates(settings.folder, [f"compute.{DOMAIN}"])
        demo.gateway.start()
        full, file = f"{DOMAIN}:{settings['GSTACK_PORT']}", tmp_path / "key.json"
        words = ("credentials", "create", "--name", "universe", "--universe", full, "--output", str(file))
        subprocess.run(
            [sys.executable, "-m", "gstack", "--config", str(demo.gateway.config), *words],
            env={"PYTHONPATH": str(Path(__file__).parents[2]), **demo.environment},
            check=True,
            capture_output=True,
            timeout=120,
        )
        environment = {"GOOGLE_CLOUD_UNIVERSE_DOMAIN": full, "GOOGLE_APPLICATION_CREDENTIALS": str(file)}
        for name, value in (demo.environment | environment).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("NO_PROXY", "*")
        asked: list[str] = []
        look_up: Callable[..., Any] = socket.getaddrinfo

        def led_home(host: Any, *rest: Any, **more: Any) -> Any:
            asked.append(str(host))
            return look_up("127.0.0.1" if host == f"compute.{DOMAIN}" else host, *rest, **more)

        monkeypatch.setattr(socket, "getaddrinfo", led_home)
        yield demo, asked


def test_an_instance_is_made_and_deleted_in_a_universe_without_a_line_of_code_for_it(
    universe: tuple[Demo, list[str]],
) -> None:
    demo, asked = universe
    place = {"project": demo.environment["GSTACK_PROJECT"], "zone": demo.environment["GSTACK_ZONE"]}
    start = compute_v1.AttachedDiskInitializeParams(source_image=FAMILY)
    body = compute_v1.Instance(
        name="elsewhere",
        machine_type=f"zones/{place['zone']}/machineTypes/micro",
        disks=[compute_v1.AttachedDisk(boot=True, auto_delete=True, initialize_params=start)],
        network_interfaces=[compute_v1.NetworkInterface(network="global/networks/default")],
    )
    with compute_v1.InstancesClient() as instances:
        instances.insert(**place, instance_resource=body).result(timeout=60)
        assert instances.get(**place, instance="elsewhere").status == "RUNNING"
        instances.delete(**place, instance="elsewhere").result(timeout=60)
        with pytest.raises(exceptions.NotFound):
            instances.get(**place, instance="elsewhere")
    assert set(asked) == {f"compute.{DOMAIN}"}, "nothing of Google was asked, nor the token endpoint"
