"""The ways in that need no option of the client, by every client that has them: universe, hosts file, proxy.

Apart from the pages because a hosts file and port 443 are needed, which a reader has and most machines that run tests
must not touch. The surprising thing: the hosts file is real, but stands in a mount namespace of the client alone. One
program a client serves all three ways: nothing in it names a gateway. (Node's library checks the variable of a universe
against nothing and then fails, so its program hands it on.)
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gstack import certificates
from gstack.certificates import GOOGLE_NAMES
from gstack.demo import Demo, prepared
from tests.ports import may_listen

if os.environ.get("GSTACK_TEST_CLIENTS") != "all":
    pytest.skip("make test-clients runs it: its clients come from their registries", allow_module_level=True)

ROOT = Path(__file__).parents[2]
UNIVERSE = "gce.test"
INSTALLING_SECONDS = 900
GONE = ("GOOGLE_COMPUTE_CUSTOM_ENDPOINT", "GOOGLE_OAUTH_ACCESS_TOKEN", "CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE")

GO = """
package main

import (
    "context"
    "fmt"
    "log"
    "os"

    compute "cloud.google.com/go/compute/apiv1"
    pb "cloud.google.com/go/compute/apiv1/computepb"
    "google.golang.org/protobuf/proto"
)

func must[T any](value T, err error) T {
    if err != nil {
        log.Fatal(err)
    }
    return value
}

func main() {
    ctx, project, zone := context.Background(), os.Getenv("GSTACK_PROJECT"), os.Getenv("GSTACK_ZONE")
    disks := must(compute.NewDisksRESTClient(ctx))
    disk := &pb.Disk{Name: proto.String("unaware"), SizeGb: proto.Int64(10)}
    made := must(disks.Insert(ctx, &pb.InsertDiskRequest{Project: project, Zone: zone, DiskResource: disk}))
    if err := made.Wait(ctx); err != nil {
        log.Fatal(err)
    }
    fmt.Println(must(disks.Get(ctx, &pb.GetDiskRequest{Project: project, Zone: zone, Disk: "unaware"})).GetSelfLink())
    gone := must(disks.Delete(ctx, &pb.DeleteDiskRequest{Project: project, Zone: zone, Disk: "unaware"}))
    if err := gone.Wait(ctx); err != nil {
        log.Fatal(err)
    }
}
"""
GO_API = """
package main

import (
    "context"
    "fmt"
    "log"
    "os"

    compute "google.golang.org/api/compute/v1"
)

func done(project, zone string, api *compute.Service, op *compute.Operation, err error) {
    for err == nil && op.Status != "DONE" {
        op, err = api.ZoneOperations.Wait(project, zone, op.Name).Do()
    }
    if err != nil || op.Error != nil {
        log.Fatal(err, op)
    }
}

func main() {
    project, zone := os.Getenv("GSTACK_PROJECT"), os.Getenv("GSTACK_ZONE")
    api, err := compute.NewService(context.Background())
    if err != nil {
        log.Fatal(err)
    }
    made, err := api.Disks.Insert(project, zone, &compute.Disk{Name: "unaware", SizeGb: 10}).Do()
    done(project, zone, api, made, err)
    disk, err := api.Disks.Get(project, zone, "unaware").Do()
    if err != nil {
        log.Fatal(err)
    }
    fmt.Println(disk.SelfLink)
    gone, err := api.Disks.Delete(project, zone, "unaware").Do()
    done(project, zone, api, gone, err)
}
"""
NODE = """
import compute from '@google-cloud/compute';

const {GSTACK_PROJECT: project, GSTACK_ZONE: zone, GOOGLE_CLOUD_UNIVERSE_DOMAIN: universeDomain} = process.env;
const disks = new compute.DisksClient({universeDomain});
const waiter = new compute.ZoneOperationsClient({universeDomain});

async function done(call) {
  let operation = (await call)[0].latestResponse;
  while (operation.status !== 'DONE') [operation] = await waiter.wait({project, zone, operation: operation.name});
  if (operation.error) throw new Error(operation.error.errors[0].message);
}

await done(disks.insert({project, zone, diskResource: {name: 'unaware', sizeGb: 10}}));
console.log((await disks.get({project, zone, disk: 'unaware'}))[0].selfLink);
await done(disks.delete({project, zone, disk: 'unaware'}));
"""
JAVA = """
import com.google.cloud.compute.v1.*;

public class Example {
  public static void main(String[] args) throws Exception {
    String project = System.getenv("GSTACK_PROJECT"), zone = System.getenv("GSTACK_ZONE");
    try (var disks = DisksClient.create()) {
      disks.insertAsync(project, zone, Disk.newBuilder().setName("unaware").setSizeGb(10).build()).get();
      System.out.println(disks.get(project, zone, "unaware").getSelfLink());
      disks.deleteAsync(project, zone, "unaware").get();
    }
  }
}
"""
PYTHON = """
import os
from google.cloud import compute_v1

place = {"project": os.environ["GSTACK_PROJECT"], "zone": os.environ["GSTACK_ZONE"]}
disks = compute_v1.DisksClient()
disks.insert(**place, disk_resource={"name": "unaware", "size_gb": 10}).result()
print(disks.get(**place, disk="unaware").self_link)
disks.delete(**place, disk="unaware").result()
"""
PYTHON_API = """
import os
from googleapiclient import discovery

place = {"project": os.environ["GSTACK_PROJECT"], "zone": os.environ["GSTACK_ZONE"]}
compute = discovery.build("compute", "v1")
assert compute.disks().insert(**place, body={"name": "unaware", "sizeGb": 10}).execute()["status"] == "DONE"
print(compute.disks().get(**place, disk="unaware").execute()["selfLink"])
assert compute.disks().delete(**place, disk="unaware").execute()["status"] == "DONE"
"""
LIBCLOUD = """
import json, os
from libcloud.compute.providers import get_driver
from libcloud.compute.types import Provider

key, project, zone = (os.environ[name] for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GSTACK_PROJECT", "GSTACK_ZONE"))
with open(key) as file:
    email = json.load(file)["client_email"]
driver = get_driver(Provider.GCE)(email, key, project=project, datacenter=zone, credential_file="token")
volume = driver.create_volume(10, "unaware")
print(volume.extra["selfLink"])
driver.destroy_volume(volume)
"""
TERRAFORM = """
terraform {
  required_providers { google = { source = "hashicorp/google" } }
}
variable "universe" { default = null }
provider "google" {
  universe_domain = var.universe
  zone            = "ch-gva-2"
}
resource "google_compute_disk" "unaware" {
  name = "unaware"
  size = 10
}
output "link" { value = google_compute_disk.unaware.self_link }
"""


@dataclass(frozen=True)
class Way:
    """How a client gets to the gateway: words before its command, its environment, and what links begin with."""

    before: tuple[str, ...]
    environment: dict[str, str]
    root: str
    java: tuple[str, ...] = ()
    terraform: tuple[str, ...] = ()


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    """A gateway on port 443 that answers for Google's names and for those of a universe."""
    if not may_listen(443):
        pytest.skip("port 443 cannot be listened on here: it takes root, and nobody else on it")
    if subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("no hosts file of a client's own can be made here: it takes root and mount namespaces")
    with prepared(job_seconds=0.1, port=443) as running:
        running.gateway.stop()
        certificates.ensure_certificates(running.gateway.settings.folder, [*GOOGLE_NAMES, f"compute.{UNIVERSE}"])
        running.gateway.start()
        yield running


@pytest.fixture(scope="module")
def universe_key(demo: Demo) -> Path:
    file = demo.gateway.settings.folder / "universe.json"
    words = ("credentials", "create", "--name", "universe", "--universe", UNIVERSE, "--output", str(file))
    subprocess.run(
        [sys.executable, "-m", "gstack", "--config", str(demo.gateway.config), *words],
        env={"PYTHONPATH": str(ROOT), **demo.environment},
        check=True,
        capture_output=True,
        timeout=120,
    )
    return file


@pytest.fixture(params=["universe", "hosts file", "proxy"])
def way(request: pytest.FixtureRequest, demo: Demo, universe_key: Path, tmp_path: Path) -> Way:
    hosts = tmp_path / "hosts"
    names = [f"compute.{UNIVERSE}"] if request.param == "universe" else [*GOOGLE_NAMES]
    hosts.write_text(f"127.0.0.1 localhost {' '.join(names)}\n")
    before = ("unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(hosts))
    if request.param == "universe":
        environment = {
            "GOOGLE_CLOUD_UNIVERSE_DOMAIN": UNIVERSE,
            "GOOGLE_APPLICATION_CREDENTIALS": str(universe_key),
            "NO_PROXY": "*",
        }
        return Way(before, environment, f"https://compute.{UNIVERSE}/", terraform=(f"-var=universe={UNIVERSE}",))
    google = "https://www.googleapis.com/"
    if request.param == "hosts file":
        return Way(before, {"NO_PROXY": "*"}, google)
    proxy = demo.environment["GSTACK_PROXY"]
    host, port = proxy.removeprefix("http://").split(":")
    return Way((), {"HTTPS_PROXY": proxy}, google, (f"-Dhttps.proxyHost={host}", f"-Dhttps.proxyPort={port}"))


Start = Callable[..., str]


@pytest.fixture
def start(way: Way, run: Callable[..., Any]) -> Start:
    """What a client's command prints, started in its way; the test fails where the client does."""

    def in_its_way(*command: str, folder: Path) -> str:
        words = ("env", *(f"--unset={name}" for name in GONE), *(f"{k}={v}" for k, v in way.environment.items()))
        ran = run(*words, *way.before, *command, folder=folder)
        assert ran.status == 0, ran.out + ran.err
        return str(ran.out)

    return in_its_way


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, dict[str, str], str], Path]:
    """A client's folder with its program and what it needs, made once for all ways."""
    done: dict[str, Path] = {}

    def make(name: str, files: dict[str, str], command: str) -> Path:
        if name not in done:
            folder = tmp_path_factory.mktemp(name)
            for file, text in files.items():
                (folder / file).write_text(text)
            ours = {key: value for key, value in os.environ.items() if not key.startswith("GOOGLE_")}
            ran = subprocess.run(
                ["sh", "-e", "-c", command],
                cwd=folder,
                env=ours,
                capture_output=True,
                text=True,
                timeout=INSTALLING_SECONDS,
                check=False,
            )
            assert ran.returncode == 0, ran.stdout + ran.stderr
            done[name] = folder
        return done[name]

    return make


def _page(name: str, form: str) -> str:
    """What a client's page says, between two of its words: the versions stand there alone."""
    text = (ROOT / "docs" / "clients" / f"{name}.md").read_text()
    begin, end = form.split("...")
    return begin + text.partition(begin)[2].partition(end)[0] + end


Installed = Callable[[str, dict[str, str], str], Path]


@pytest.mark.parametrize(("page", "program"), [("go", GO), ("go_api", GO_API)], ids=["go", "go_api"])
def test_gos_libraries_need_no_option(page: str, program: str, installed: Installed, start: Start, way: Way) -> None:
    fetch = _page(page, "go get ...\n").strip()
    command = f"go mod init example; {fetch}; go mod tidy; go build -o client ."
    folder = installed(page, {"main.go": program}, command)
    assert start("./client", folder=folder).startswith(way.root)


@pytest.mark.parametrize("way", ["universe", "hosts file"], indirect=True)  # it takes no notice of HTTPS_PROXY
def test_nodes_library_needs_no_option(installed: Installed, start: Start, way: Way) -> None:
    folder = installed("node", {"main.mjs": NODE}, _page("node", "npm install ...\n").strip())
    assert start("node", "main.mjs", folder=folder).startswith(way.root)


@pytest.mark.parametrize("way", ["universe", "hosts file", "proxy"], indirect=True)
def test_pythons_library_needs_no_option(start: Start, way: Way, tmp_path: Path) -> None:
    assert start("python", "-c", PYTHON, folder=tmp_path).startswith(way.root)


@pytest.mark.parametrize("way", ["universe", "hosts file"], indirect=True)  # a proxy only with pysocks
def test_pythons_older_library_needs_no_option(start: Start, way: Way, tmp_path: Path) -> None:
    assert start("python", "-c", PYTHON_API, folder=tmp_path).startswith(way.root)


@pytest.mark.parametrize("way", ["hosts file", "proxy"], indirect=True)  # it knows no universe
def test_libcloud_needs_no_change(start: Start, way: Way, tmp_path: Path) -> None:
    assert start("python", "-c", LIBCLOUD, folder=tmp_path).startswith(way.root)


@pytest.mark.parametrize("way", ["hosts file", "proxy"], indirect=True)  # it knows no universe
def test_gcloud_needs_no_endpoint(start: Start, way: Way, installed_gcloud: str, tmp_path: Path) -> None:
    start(installed_gcloud, "--quiet", "compute", "disks", "create", "unaware", "--size=10GB", folder=tmp_path)
    shown = start(
        installed_gcloud, "compute", "disks", "describe", "unaware", "--format=value(selfLink)", folder=tmp_path
    )
    assert shown.startswith(way.root)
    start(installed_gcloud, "--quiet", "compute", "disks", "delete", "unaware", folder=tmp_path)


def test_javas_library_needs_no_option(
    installed: Installed, start: Start, way: Way, demo: Demo, tmp_path: Path
) -> None:
    pom = _page("java", "<project...</project>")
    folder = installed("java", {"pom.xml": pom, "Example.java": JAVA}, _page("java", "mvn ...\n").strip())
    store, authority = tmp_path / "trust.p12", demo.environment["GSTACK_CA_FILE"]
    words = f"-importcert -noprompt -alias gstack -file {authority} -keystore {store} -storepass changeit".split()
    subprocess.run(["keytool", *words], check=True, capture_output=True)
    trust = (f"-Djavax.net.ssl.trustStore={store}", "-Djavax.net.ssl.trustStorePassword=changeit")
    assert start("java", *trust, *way.java, "-classpath", "lib/*", "Example.java", folder=folder).startswith(way.root)


def test_terraform_needs_no_endpoint(terraform_configuration: Path, start: Start, way: Way, tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text(TERRAFORM)
    terraform = shutil.which("terraform") or "terraform"
    words = ("env", f"TF_CLI_CONFIG_FILE={terraform_configuration}", terraform)
    out = start(*words, "apply", "-no-color", "-auto-approve", *way.terraform, folder=tmp_path)
    assert 'link = "https://www.googleapis.com/compute/v1/projects/' in out
    planned = start(*words, "plan", "-no-color", "-detailed-exitcode", *way.terraform, folder=tmp_path)
    assert "No changes." in planned
    start(*words, "destroy", "-no-color", "-auto-approve", *way.terraform, folder=tmp_path)
