"""``gstack demo`` and ``gstack simulator``: everything running on one machine, with every client prepared.

Nothing here is special to the demo but the throw-away folder: the gateway it starts is the same command, with
the same configuration file, that a production gateway is; the tests of real clients run in :func:`prepared`.
Progress goes to standard error, so that the standard output of ``gstack demo -- CMD`` is that of CMD alone.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
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
from typing import Any
from urllib.parse import urlsplit

import certifi
import requests
from rich.console import Console

from gstack import configure
from gstack.app import create_app
from gstack.auth import credentials
from gstack.auth.identity import Refused
from gstack.certificates import GOOGLE_NAMES, write_private
from gstack.errors import GceError
from gstack.settings import Settings, SettingsError
from gstack.simulator import Simulator
from gstack.simulator import serve as serve_simulator

START_SECONDS = 60
STOP_SECONDS = 45  # the server gives its requests thirty
DEFAULT_PORT = 5000
EMBEDDED_ZONE = "ch-gva-2"  # the basic one, where every instance has an address of its own
_GIVEN: set[int] = set()
console = Console(stderr=True, highlight=False, soft_wrap=True)  # keys and code are pasted: one line each


@dataclass(frozen=True)
class Cloud:
    """A CloudStack to stand behind the gateway, a key pair for it, and the zone that clients use by default
    (empty: its first)."""

    url: str
    api_key: str
    secret_key: str
    zone: str = ""


def run_simulator(port: int, state: Path | None, job_seconds: float) -> None:
    """The embedded CloudStack in the foreground, until Ctrl-C."""
    world = Simulator(job_seconds=job_seconds, state_dir=state, extras=True)
    try:
        server = serve_simulator(world, port=port)
    except OSError as error:
        why = f"Port {port} cannot be listened on. Choose another with --port, or end what has this one."
        raise SettingsError(why) from error
    api_key, secret_key = world.keys("tenant")
    console.print(f"CloudStack (embedded)  http://localhost:{server.port}/client/api")
    console.print(f"API key                {api_key}")
    console.print(f"Secret key             {secret_key}")
    try:
        _wait_for_signal()
    finally:
        server.stop()


@dataclass(frozen=True)
class Demo:
    """A running gateway, the CloudStack behind it, and the environment of :func:`client_environment`."""

    gateway: Gateway
    cloud: Cloud
    environment: dict[str, str]


def run_demo(
    port: int | None, state: Path | None, job_seconds: float, cloud: Cloud | None, command: tuple[str, ...]
) -> int:
    """Start everything, run ``command`` (or wait for Ctrl-C), stop everything; the command's exit status.

    Without ``port`` the gateway listens on DEFAULT_PORT, or for the time of ``command`` on any free one.
    """
    signal.signal(signal.SIGTERM, _leave)
    if port is None:
        port = 0 if command else DEFAULT_PORT
    with prepared(state, port=port, job_seconds=job_seconds, cloud=cloud) as demo:
        if command:
            return _run(command, demo.environment)
        _print_recipes(demo.gateway.settings, demo.environment)
        _wait_for_signal()
        return 0


@contextlib.contextmanager
def prepared(
    state: Path | None = None,
    *,
    port: int = 0,
    job_seconds: float = 0.3,
    cloud: Cloud | None = None,
    gcloud: bool = True,
) -> Iterator[Demo]:
    """A gateway with every client prepared, for as long as the context lasts.

    ``state`` keeps everything for a later run (default: a folder that goes away); ``port`` 0 is any free one;
    ``cloud`` is a CloudStack to use instead of the embedded one, whose jobs take ``job_seconds``. ``gcloud``:
    sign it in, where it is installed. Raises :class:`SettingsError` when the gateway does not start.
    """
    with contextlib.ExitStack() as stack:
        folder = state or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gstack-demo-")))
        if cloud is None:
            cloud = stack.enter_context(_simulator(folder, job_seconds, keep=state is not None))
        gateway = configured(folder, port or free_port(), cloud)
        project = key_file(gateway.settings, cloud)
        gateway.start()
        stack.callback(gateway.stop)
        environment = client_environment(gateway.settings, cloud, project)
        if gcloud:
            _activate_gcloud(os.environ | environment)
        yield Demo(gateway, cloud, environment)


class Gateway:
    """The gateway as a process of its own, as it runs in production."""

    def __init__(self, settings: Settings, config: Path) -> None:
        self.settings = settings
        self.config = config
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers. Raises :class:`SettingsError` when it does not."""
        self.process = subprocess.Popen(  # noqa: S603 - gstack itself
            [sys.executable, "-m", "gstack", "--config", str(self.config)]
        )
        try:
            _wait_until_up(self.process, self.settings)
        except BaseException:
            self.stop()
            raise
        console.print(f"[green]✓[/] gateway on {self.settings.public_url}")

    def stop(self) -> None:
        """Stop it as a service manager does; nothing happens when it does not run."""
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def _simulator(folder: Path, job_seconds: float, *, keep: bool) -> Iterator[Cloud]:
    world = Simulator(job_seconds=job_seconds, state_dir=folder / "cloudstack" if keep else None, extras=True)
    server = serve_simulator(world, port=0)
    console.print(f"[green]✓[/] embedded CloudStack on http://localhost:{server.port}/client/api")
    try:
        yield Cloud(f"http://localhost:{server.port}/client/api", *world.keys("tenant"), zone=EMBEDDED_ZONE)
    finally:
        server.stop()


def configured(folder: Path, port: int, cloud: Cloud) -> Gateway:
    """A gateway that is installed in ``folder`` and stands before ``cloud``, not yet running."""
    url = urlsplit(cloud.url)
    config = folder / "gstack.conf"
    settings = configure.install(
        config,
        {
            "PATH": str(folder.resolve()),
            "GSTACK_PORT": port,
            "GSTACK_PROXY_PORT": free_port(),
            "CLOUDSTACK_HOST": url.hostname or "localhost",
            "CLOUDSTACK_PORT": url.port or (443 if url.scheme == "https" else 80),
            "CLOUDSTACK_PROTOCOL": url.scheme,
            "CLOUDSTACK_PATH": url.path,
            "LOG_LEVEL": "WARNING",
        },
        GOOGLE_NAMES,
    )
    return Gateway(settings, config)


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


def key_file(settings: Settings, cloud: Cloud) -> str:
    """Make ``key.json`` for the cloud's key pair; the project that it reaches. Raises :class:`SettingsError` when
    CloudStack cannot be asked or refuses the pair."""
    app = create_app(settings)
    try:
        with app.app_context():
            file = settings.folder / "key.json"
            return credentials.create_key_file(settings, cloud.api_key, cloud.secret_key, file).project
    except (Refused, GceError) as error:
        raise SettingsError(f"No key file could be made for {cloud.url}: {error}") from error


def client_environment(settings: Settings, cloud: Cloud, project: str) -> dict[str, str]:
    """The environment in which every client finds the running gateway, trusts it and is signed in with the key
    file of :func:`key_file`."""
    folder, root = settings.folder, settings.public_url
    authority = settings.file("GSTACK_CA_FILE", "ca.pem")
    bundle = folder / "ca-bundle.pem"
    bundle.write_text(_system_authorities() + "\n" + authority.read_text())
    token = _access_token(root, authority, cloud)
    zone = cloud.zone or _first_zone(root, authority, token, project)
    environment = {
        "GSTACK_URL": root,
        "GSTACK_PROJECT": project,
        "GSTACK_ZONE": zone,
        "GSTACK_REGION": zone[:-2],
        "GSTACK_CA_FILE": str(authority),
        "GSTACK_CA_BUNDLE": str(bundle),
        "GSTACK_PROXY": f"http://localhost:{settings['GSTACK_PROXY_PORT']}",
        "GSTACK_TOKEN": token,
        "GSTACK_API_KEY": cloud.api_key,
        "GSTACK_SECRET_KEY": cloud.secret_key,
        "GSTACK_CLOUDSTACK_URL": cloud.url,
        "GOOGLE_APPLICATION_CREDENTIALS": str(folder / "key.json"),
        "CLOUDSDK_CONFIG": str(folder / "gcloud"),
        "CLOUDSDK_CORE_PROJECT": project,
        "CLOUDSDK_COMPUTE_ZONE": zone,
        "CLOUDSDK_COMPUTE_REGION": zone[:-2],
        "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE": str(bundle),
        "CLOUDSDK_CORE_CHECK_GCE_METADATA": "false",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "true",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE": f"{root}/compute/v1/",
        "REQUESTS_CA_BUNDLE": str(bundle),
        "SSL_CERT_FILE": str(bundle),
        "HTTPLIB2_CA_CERTS": str(bundle),
        "NODE_EXTRA_CA_CERTS": str(authority),
        "GOOGLE_COMPUTE_CUSTOM_ENDPOINT": f"{root}/compute/v1/",
        "GOOGLE_OAUTH_ACCESS_TOKEN": token,
        "GOOGLE_PROJECT": project,
    }
    return environment | _no_proxy(urlsplit(root).hostname or "localhost")


def _system_authorities() -> str:
    """The authorities this machine trusts, so that CMD still reaches the rest of the world."""
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        with contextlib.suppress(KeyError, OSError):
            return Path(os.environ[name]).read_text()
    default = ssl.get_default_verify_paths().cafile
    return Path(default or certifi.where()).read_text()


def _no_proxy(host: str) -> dict[str, str]:
    """A proxy of this machine's must not be asked for a gateway that runs on it."""
    known = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
    hosts = ",".join(filter(None, (known, host)))
    return {"NO_PROXY": hosts, "no_proxy": hosts}


def _access_token(root: str, authority: Path, cloud: Cloud) -> str:
    form = {
        "grant_type": "client_credentials",
        "client_id": cloud.api_key,
        "client_secret": cloud.secret_key,
    }
    return str(_asked("POST", f"{root}/token", authority, data=form)["access_token"])


def _first_zone(root: str, authority: Path, token: str, project: str) -> str:
    url = f"{root}/compute/v1/projects/{project}/zones"
    answer = _asked("GET", url, authority, headers={"Authorization": f"Bearer {token}"})
    if not answer.get("items"):
        raise SettingsError("This CloudStack shows no zone to these keys.")
    return str(answer["items"][0]["name"])


def _asked(verb: str, url: str, authority: Path, **more: Any) -> dict[str, Any]:
    """The JSON that the gateway answers; SettingsError with its words when it refuses."""
    with requests.Session() as session:
        session.trust_env = False
        answer = session.request(verb, url, verify=str(authority), timeout=60, **more)
    if not answer.ok:
        raise SettingsError(f"The gateway answered {answer.status_code}: {answer.text[:500].strip()}")
    return dict(answer.json())


def _activate_gcloud(environment: dict[str, str]) -> None:
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        return
    key_file = environment["GOOGLE_APPLICATION_CREDENTIALS"]
    done = subprocess.run(  # noqa: S603 - gcloud of the user's PATH
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
        status = subprocess.run(command, env=os.environ | environment, check=False).returncode  # noqa: S603 - the user's
    except FileNotFoundError:
        console.print(f"[red]✗[/] {command[0]} is not installed.")
        return 127
    except OSError as error:
        console.print(f"[red]✗[/] {command[0]} cannot be run: {error.strerror}.")
        return 126
    return status if status >= 0 else 128 - status  # as a shell says which signal ended it


def _print_recipes(settings: Settings, environment: dict[str, str]) -> None:
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())
    file = settings.folder / "env.sh"
    write_private(file, exports.encode())
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


def free_port() -> int:
    """A port nobody listens on, given once a process, and not of those that the system gives to whoever asks for any:
    it stays free until it is used."""
    while True:
        port = 16_384 + secrets.randbelow(16_384)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _GIVEN:
                _GIVEN.add(port)
                return port


def _leave(number: int, _frame: object) -> None:
    """End through every ``finally``, so that neither a gateway nor a folder stays behind."""
    signal.signal(number, signal.SIG_IGN)
    raise SystemExit(128 + number)


def _wait_for_signal() -> None:
    def stop(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    with contextlib.suppress(KeyboardInterrupt):
        signal.pause()
