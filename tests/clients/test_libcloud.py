"""Apache Libcloud's GCE driver, unmodified but for its URL.

Apart because it is imported late: it reads SSL_CERT_FILE when it is imported. It looks at operations by their
selfLink, once even when they were answered DONE. The surprising thing: ``deploy_node`` speaks SSH with a guest, and no
machine of the embedded CloudStack has one; a server on loopback stands in, and lets in whom CloudStack told it of.
"""

from __future__ import annotations

import base64
import gzip
import importlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gstack.cloudstack.client import Cloud

Fresh = Callable[[str], str]


class Guest:
    """A machine's SSH server on loopback: lets in those keys that the machine's user data names, runs nothing."""

    def __init__(self, cloudstack: Cloud) -> None:
        self.ran: list[str] = []
        self._cloudstack = cloudstack
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._transports: list[Any] = []
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def told(self) -> str:
        """What CloudStack hands to the guests of this account."""
        texts = []
        for machine in self._cloudstack.list("listVirtualMachines"):
            answer = self._cloudstack.call("getVirtualMachineUserData", virtualmachineid=machine["id"])
            data = base64.b64decode(answer["virtualmachineuserdata"].get("userdata") or "")
            texts.append((gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data).decode())
        return "\n".join(texts)

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()
        for transport in self._transports:
            transport.close()
            transport.join()

    def _serve(self) -> None:
        paramiko = importlib.import_module("paramiko")
        guest = self

        class Server(paramiko.ServerInterface):  # type: ignore[misc, name-defined]
            def get_allowed_auths(self, username: str) -> str:
                return "publickey"

            def check_auth_publickey(self, username: str, key: Any) -> int:
                known = f"{username}:{key.get_name()} {key.get_base64()}" in guest.told().replace('"', "")
                return int(paramiko.AUTH_SUCCESSFUL if known else paramiko.AUTH_FAILED)

            def check_channel_request(self, kind: str, chanid: int) -> int:
                return int(paramiko.OPEN_SUCCEEDED)

            def check_channel_exec_request(self, channel: Any, command: bytes) -> bool:
                guest.ran.append(command.decode())
                threading.Thread(target=self._answer, args=(channel,)).start()
                return True

            @staticmethod
            def _answer(channel: Any) -> None:
                channel.get_transport().global_request("are-you-there")  # answered after the request for this was
                channel.sendall(b"done\n")
                channel.send_exit_status(0)
                channel.close()

        own = paramiko.RSAKey.generate(2048)
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transport.add_server_key(own)
            transport.start_server(server=Server())
            self._transports.append(transport)


@pytest.fixture
def guest(cloudstack: Cloud) -> Iterator[Guest]:
    found = Guest(cloudstack)
    yield found
    found.close()


@pytest.fixture
def driver(client_environment: dict[str, str], request: pytest.FixtureRequest) -> Any:
    """The driver as docs/clients/libcloud.md makes it; a test may ask for another zone."""
    security = importlib.import_module("libcloud.security")
    security.CA_CERTS_PATH = client_environment["SSL_CERT_FILE"]  # an earlier demo's, where imported already
    types = importlib.import_module("libcloud.compute.types")
    gce = importlib.import_module("libcloud.compute.providers").get_driver(types.Provider.GCE)

    class Gateway(gce):  # type: ignore[misc, valid-type]
        def _ex_connection_class_kwargs(self) -> dict[str, Any]:
            return {**super()._ex_connection_class_kwargs(), "url": client_environment["GSTACK_URL"]}

    key = client_environment["GOOGLE_APPLICATION_CREDENTIALS"]
    email = json.loads(Path(key).read_text())["client_email"]
    return Gateway(
        email,
        key,
        project=client_environment["GSTACK_PROJECT"],
        datacenter=getattr(request, "param", client_environment["GSTACK_ZONE"]),
        credential_file=str(Path(key).parent / "libcloud-token"),
    )


def test_sizes_images_and_locations_are_listed(driver: Any) -> None:
    sizes = {size.name: size.ram for size in driver.list_sizes()}
    assert sizes["micro"] == 512
    assert "linux-debian-12-64-bit" in [image.name for image in driver.list_images()]
    assert "ch-gva-2" in [place.name for place in driver.list_locations()]


def test_an_image_is_found_by_its_family(driver: Any) -> None:
    image = driver.ex_get_image_from_family("debian-12", ex_project_list=["debian-cloud"])
    assert image.name == "linux-debian-12-64-bit"


def test_a_node_is_made_and_destroyed(driver: Any, cloudstack: Cloud, fresh: Fresh) -> None:
    name = fresh("node")
    image = driver.ex_get_image_from_family("debian-12", ex_project_list=["debian-cloud"])
    metadata = {"items": [{"key": "greeting", "value": "hello"}]}
    node = driver.create_node(name, "micro", image, ex_tags=["web"], ex_metadata=metadata)
    assert node.name == name
    assert node.extra["tags"] == ["web"]
    assert {"key": "greeting", "value": "hello"} in node.extra["metadata"]["items"]
    assert node.private_ips == [cloudstack.list("listVirtualMachines", name=name)[0]["nic"][0]["ipaddress"]]
    assert name in [each.name for each in driver.list_nodes()]
    assert name in [each.name for each in driver.list_nodes(ex_zone="all")]
    assert driver.reboot_node(node)
    assert driver.destroy_node(node)
    assert name not in [each.name for each in driver.list_nodes()]
    assert cloudstack.list("listVirtualMachines", name=name) == []


def test_a_node_is_deployed_with_the_key_that_its_metadata_named(
    driver: Any, guest: Guest, fresh: Fresh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paramiko, deployment = (importlib.import_module(name) for name in ("paramiko", "libcloud.compute.deployment"))
    key = paramiko.RSAKey.generate(2048)
    key.write_private_key_file(str(tmp_path / "key"))
    look_up: Callable[..., Any] = socket.getaddrinfo
    asked: list[str] = []

    def led_to_the_guest(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        asked.append(str(host))
        return look_up("127.0.0.1" if port == guest.port else host, port, *rest, **more)

    class Step(deployment.Deployment):  # type: ignore[misc, name-defined]
        def run(self, node: Any, client: Any) -> Any:
            self.out, self.err, self.status = client.run("apt-get install --yes nginx")
            return node

    monkeypatch.setattr(socket, "getaddrinfo", led_to_the_guest)
    step, name = Step(), fresh("deployed")
    node = driver.deploy_node(
        name=name,
        size="micro",
        image=driver.ex_get_image_from_family("debian-12", ex_project_list=["debian-cloud"]),
        ex_metadata={"ssh-keys": f"me:{key.get_name()} {key.get_base64()} me@home"},
        deploy=step,
        ssh_username="me",
        ssh_key=str(tmp_path / "key"),
        ssh_port=guest.port,
        wait_period=0.1,
        timeout=60,
    )
    assert (step.out, step.status, guest.ran) == ("done\n", 0, ["apt-get install --yes nginx"])
    assert node.public_ips[0] in asked, "it went to the address that it was shown"
    assert driver.destroy_node(node)


def test_a_node_is_stopped_and_started(driver: Any, fresh: Fresh) -> None:
    image = driver.ex_get_image_from_family("debian-12", ex_project_list=["debian-cloud"])
    node = driver.create_node(fresh("paused"), "micro", image)
    assert driver.ex_stop_node(node)
    assert driver.ex_get_node(node.name).extra["status"] == "TERMINATED"
    assert driver.ex_start_node(node)
    assert driver.ex_get_node(node.name).extra["status"] == "RUNNING"
    assert driver.destroy_node(node)


def test_a_node_and_its_volumes_change(driver: Any, cloudstack: Cloud, fresh: Fresh) -> None:
    image = driver.ex_get_image_from_family("debian-12", ex_project_list=["debian-cloud"])
    name, data, snap = fresh("day"), fresh("data"), fresh("snap")
    node = driver.create_node(name, "micro", image)
    assert driver.ex_set_node_tags(node, ["web"])
    assert driver.ex_set_node_metadata(driver.ex_get_node(name), {"stage": "live"})
    assert driver.ex_set_node_labels(driver.ex_get_node(name), {"stage": "live"})
    node = driver.ex_get_node(name)
    assert (node.extra["tags"], node.extra["labels"]) == (["web"], {"stage": "live"})
    assert node.extra["metadata"]["items"] == [{"key": "stage", "value": "live"}]

    volume = driver.create_volume(10, data)
    assert driver.attach_volume(node, volume, ex_boot=False)
    machine = cloudstack.list("listVirtualMachines", name=name)[0]["id"]
    assert data in [row["name"] for row in cloudstack.list("listVolumes", virtualmachineid=machine)]
    snapshot = driver.create_volume_snapshot(volume, snap)
    assert [row["state"] for row in cloudstack.list("listSnapshots", name=snap)] == ["BackedUp"]
    assert driver.detach_volume(volume, ex_node=node)
    assert data not in [row["name"] for row in cloudstack.list("listVolumes", virtualmachineid=machine)]

    assert driver.destroy_node(node)
    assert driver.destroy_volume(volume)
    assert driver.destroy_volume_snapshot(snapshot)
    assert cloudstack.list("listSnapshots", name=snap) == []


def test_a_firewall_is_made_and_removed(driver: Any, cloudstack: Cloud, fresh: Fresh) -> None:
    name = fresh("web")
    allowed = [{"IPProtocol": "tcp", "ports": ["80"]}]
    firewall = driver.ex_create_firewall(name, allowed, source_ranges=["10.0.0.0/8"])
    assert driver.ex_get_firewall(name).allowed == allowed
    assert cloudstack.first("listSecurityGroups", securitygroupname=name) is not None
    assert driver.ex_destroy_firewall(firewall)


def test_a_node_that_fits_nowhere_raises(driver: Any, fresh: Fresh) -> None:
    common = importlib.import_module("libcloud.common.google")
    image = driver.ex_get_image_from_family("debian-12", ex_project_list=["debian-cloud"])
    with pytest.raises(common.GoogleBaseError, match="No destination found"):
        driver.create_node(fresh("giant"), "titan-does-not-fit", image)


def test_a_node_that_is_not_there_is_not_found(driver: Any) -> None:
    from libcloud.common.google import ResourceNotFoundError

    with pytest.raises(ResourceNotFoundError):
        driver.ex_get_node("nobody")


# Libcloud looks for a new forwarding rule in the region of its own zone, whichever it was made in.
@pytest.mark.parametrize("driver", ["de-fra-1"], indirect=True)
def test_a_balancer_is_made_with_its_pool_and_taken_away(driver: Any, cloudstack: Cloud, fresh: Fresh) -> None:
    balancing = importlib.import_module("libcloud.loadbalancer.drivers.gce")
    base = importlib.import_module("libcloud.loadbalancer.base")
    name = fresh("balancer")
    balancers = balancing.GCELBDriver(gce_driver=driver)
    balancers.ex_create_healthcheck(name, port=8080)
    made = balancers.create_balancer(
        name, "80", "TCP", base.DEFAULT_ALGORITHM, [], ex_region="de-fra", ex_healthchecks=[name]
    )
    assert (made.port, made.extra["targetpool"].name) == ("80-80", f"{name}-tp")
    assert made.ip in {row["ipaddress"] for row in cloudstack.list("listPublicIpAddresses")}
    assert [one.name for one in balancers.list_balancers(ex_region="de-fra") if one.name == name] == [name]
    assert balancers.balancer_list_members(made) == []
    (check,) = balancers.ex_balancer_list_healthchecks(made)
    balancers.ex_balancer_detach_healthcheck(made, check)
    assert balancers.destroy_balancer(made)
    assert check.destroy()
    assert made.ip not in {row["ipaddress"] for row in cloudstack.list("listPublicIpAddresses")}
