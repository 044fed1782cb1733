"""``gstack demo`` and ``gstack simulator``: everything running on one machine, with every client prepared.

Nothing here is special to the demo but the throw-away folder: the gateway it starts is the same command, with the
same configuration file, that a production gateway is. Progress goes to standard error, so that the standard output
of ``gstack demo -- CMD`` is that of CMD alone.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import certifi
import requests
from rich.console import Console

from gstack import configure
from gstack.app import create_app
from gstack.auth import credentials
from gstack.settings import Settings, SettingsError
from gstack.simulator import Simulator
from gstack.simulator import serve as serve_simulator

START_SECONDS = 30
console = Console(stderr=True, highlight=False)


@dataclass(frozen=True)
class Cloud:
    """A CloudStack to stand behind the gateway, and a key pair for it."""

    url: str
    api_key: str
    secret_key: str


def run_simulator(port: int, state: Path | None, job_seconds: float) -> None:
    """The embedded CloudStack in the foreground, until Ctrl-C."""
    world = Simulator(job_seconds=job_seconds, state_dir=state)
    server = serve_simulator(world, port=port)
    api_key, secret_key = world.keys("tenant")
    console.print(f"CloudStack (embedded)  http://localhost:{server.port}/client/api")
    console.print(f"API key                {api_key}")
    console.print(f"Secret key             {secret_key}")
    try:
        _wait_for_signal()
    finally:
        server.stop()


def run_demo(
    port: int, state: Path | None, job_seconds: float, cloud: Cloud | None, command: tuple[str, ...]
) -> int:
    """Start everything, run ``command`` (or wait for Ctrl-C), stop everything; the command's exit status."""
    with contextlib.ExitStack() as stack:
        folder = state or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gstack-demo-")))
        if cloud is None:
            cloud = stack.enter_context(_simulator(folder, job_seconds, keep=state is not None))
        settings, config = _configured(folder, port or _free_port(), cloud)
        stack.enter_context(_gateway(settings, config))
        environment = _environment(folder, settings, cloud)
        if command:
            return _run(command, environment)
        _print_recipes(settings, environment)
        _wait_for_signal()
        return 0


@contextlib.contextmanager
def _simulator(folder: Path, job_seconds: float, *, keep: bool) -> Iterator[Cloud]:
    world = Simulator(job_seconds=job_seconds, state_dir=folder / "cloudstack" if keep else None)
    server = serve_simulator(world, port=0)
    console.print(f"[green]✓[/] embedded CloudStack on http://localhost:{server.port}/client/api")
    try:
        yield Cloud(f"http://localhost:{server.port}/client/api", *world.keys("tenant"))
    finally:
        server.stop()


def _configured(folder: Path, port: int, cloud: Cloud) -> tuple[Settings, Path]:
    url = urlsplit(cloud.url)
    config = folder / "gstack.conf"
    settings = configure.install(
        config,
        {
            "PATH": str(folder.resolve()),
            "GSTACK_PORT": port,
            "CLOUDSTACK_HOST": url.hostname or "localhost",
            "CLOUDSTACK_PORT": url.port or (443 if url.scheme == "https" else 80),
            "CLOUDSTACK_PROTOCOL": url.scheme,
            "CLOUDSTACK_PATH": url.path,
            "LOG_LEVEL": "WARNING",
        },
    )
    return settings, config


@contextlib.contextmanager
def _gateway(settings: Settings, config: Path) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-m", "gstack", "--config", str(config)])  # noqa: S603
    try:
        _wait_until_up(process, settings)
        console.print(f"[green]✓[/] gateway on {settings.public_url}")
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait_until_up(process: subprocess.Popen[bytes], settings: Settings) -> None:
    authority = str(settings.file("GSTACK_CA_FILE", "ca.pem"))
    deadline = time.monotonic() + START_SECONDS
    with requests.Session() as session:
        session.trust_env = False
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(requests.RequestException):
                if session.get(f"{settings.public_url}/healthz", verify=authority, timeout=2).ok:
                    return
            time.sleep(0.05)
    raise SettingsError("The gateway did not start; its words are above.")


def _environment(folder: Path, settings: Settings, cloud: Cloud) -> dict[str, str]:
    """The environment in which every client finds the gateway, trusts it and is signed in."""
    app = create_app(settings)
    with app.app_context():
        made = credentials.create_key_file(
            settings, cloud.api_key, cloud.secret_key, folder / "key.json", name="demo"
        )
    root = settings.public_url
    authority = settings.file("GSTACK_CA_FILE", "ca.pem")
    bundle = folder / "ca-bundle.pem"
    bundle.write_text(_system_authorities() + "\n" + authority.read_text())
    token = _access_token(root, authority, cloud)
    zone = _first_zone(root, authority, token, made.project)
    environment = {
        "GSTACK_URL": root,
        "GSTACK_PROJECT": made.project,
        "GSTACK_ZONE": zone,
        "GSTACK_REGION": zone[:-2],
        "GSTACK_CA_FILE": str(authority),
        "GSTACK_TOKEN": token,
        "GSTACK_API_KEY": cloud.api_key,
        "GSTACK_SECRET_KEY": cloud.secret_key,
        "GSTACK_CLOUDSTACK_URL": cloud.url,
        "GOOGLE_APPLICATION_CREDENTIALS": str(folder / "key.json"),
        "CLOUDSDK_CONFIG": str(folder / "gcloud"),
        "CLOUDSDK_CORE_PROJECT": made.project,
        "CLOUDSDK_COMPUTE_ZONE": zone,
        "CLOUDSDK_COMPUTE_REGION": zone[:-2],
        "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE": str(bundle),
        "CLOUDSDK_CORE_CHECK_GCE_METADATA": "false",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE": f"{root}/compute/v1/",
        "REQUESTS_CA_BUNDLE": str(bundle),
        "SSL_CERT_FILE": str(bundle),
        "HTTPLIB2_CA_CERTS": str(bundle),
        "NODE_EXTRA_CA_CERTS": str(authority),
        "GOOGLE_COMPUTE_CUSTOM_ENDPOINT": f"{root}/compute/v1/",
        "GOOGLE_OAUTH_ACCESS_TOKEN": token,
        "GOOGLE_PROJECT": made.project,
    }
    _activate_gcloud(os.environ | environment)
    return environment


def _system_authorities() -> str:
    """The authorities this machine trusts, so that CMD still reaches the rest of the world."""
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        with contextlib.suppress(KeyError, OSError):
            return Path(os.environ[name]).read_text()
    default = ssl.get_default_verify_paths().cafile
    return Path(default or certifi.where()).read_text()


def _access_token(root: str, authority: Path, cloud: Cloud) -> str:
    answer = requests.post(
        f"{root}/token",
        data={
            "grant_type": "client_credentials",
            "client_id": cloud.api_key,
            "client_secret": cloud.secret_key,
        },
        verify=str(authority),
        timeout=30,
    )
    answer.raise_for_status()
    return str(answer.json()["access_token"])


def _first_zone(root: str, authority: Path, token: str, project: str) -> str:
    answer = requests.get(
        f"{root}/compute/v1/projects/{project}/zones",
        headers={"Authorization": f"Bearer {token}"},
        verify=str(authority),
        timeout=30,
    )
    answer.raise_for_status()
    return str(answer.json()["items"][0]["name"])


def _activate_gcloud(environment: dict[str, str]) -> None:
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        return
    key_file = environment["GOOGLE_APPLICATION_CREDENTIALS"]
    done = subprocess.run(  # noqa: S603
        [gcloud, "auth", "activate-service-account", f"--key-file={key_file}", "--quiet"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        console.print(f"[yellow]![/] gcloud could not be signed in: {done.stderr.strip()}")
    else:
        console.print("[green]✓[/] gcloud signed in, in a configuration of its own")


def _run(command: tuple[str, ...], environment: dict[str, str]) -> int:
    try:
        return subprocess.run(command, env=os.environ | environment, check=False).returncode  # noqa: S603
    except FileNotFoundError:
        console.print(f"[red]✗[/] {command[0]} is not installed.")
        return 127


def _print_recipes(settings: Settings, environment: dict[str, str]) -> None:
    exports = "\n".join(f"export {name}='{value}'" for name, value in environment.items())
    file = settings.folder / "env.sh"
    file.write_text(exports + "\n")
    file.chmod(0o600)
    console.print(
        f"""
[bold]gcloud, Terraform and Google's SDKs[/], in another terminal:

    . {file}

[bold]gcloud[/]
    gcloud compute zones list
    gcloud compute instances create foobar --machine-type=micro \\
        --image-family=debian-12 --image-project=debian-cloud

[bold]Terraform[/]
    provider "google" {{
      project                 = "{environment["GSTACK_PROJECT"]}"
      zone                    = "{environment["GSTACK_ZONE"]}"
      compute_custom_endpoint = "{environment["GOOGLE_COMPUTE_CUSTOM_ENDPOINT"]}"
    }}

[bold]Python[/]
    from google.cloud import compute_v1
    client = compute_v1.InstancesClient(client_options={{"api_endpoint": "{environment["GSTACK_URL"]}"}})
    print(list(client.list(project="{environment["GSTACK_PROJECT"]}", zone="{environment["GSTACK_ZONE"]}")))

Ctrl-C stops everything."""
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_signal() -> None:
    def stop(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    with contextlib.suppress(KeyboardInterrupt):
        signal.pause()
