"""One running gateway for all tests of real clients, and the hands that drive it.

Apart from every other conftest because these tests start processes. The surprising thing: where CI says that it
is CI and gcloud is installed, a skipped test of gcloud counts as failed, so that nobody loses them unnoticed.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from google.cloud import compute_v1

from gstack.cloudstack.client import Cloud, Endpoint
from gstack.demo import Demo, prepared
from gstack.metrics import TOKEN_FILE

ROOT = Path(__file__).parents[2]
GCLOUD = shutil.which("gcloud")
COMMAND_SECONDS = 180
BUILDING_SECONDS = 3600
ALL_CLIENTS = os.environ.get("GSTACK_TEST_CLIENTS") == "all"
COUNTED = re.compile(r'^gstack_requests_total\{method="compute\.([\w.]+)",status="2\d\d"\} (\S+)$', re.M)
FAILED = re.compile(r'^gstack_operations\{state="failed"\} (\S+)$', re.M)
SET_BY_MACHINES = ("CLOUDSDK_", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "GOOGLE_", "HTTPLIB2_")


@pytest.fixture(scope="session")
def demo() -> Iterator[Demo]:
    """The embedded CloudStack, the gateway before it and every client's environment; one for each worker."""
    with prepared(job_seconds=0.1) as running:
        yield running


@pytest.fixture(scope="session")
def cloudstack(demo: Demo) -> Iterator[Cloud]:
    """The CloudStack side, through its own API and with the same key pair."""
    endpoint = Endpoint(demo.gateway.settings)
    yield endpoint.cloud(demo.cloud.api_key, demo.cloud.secret_key, key="tests")
    endpoint.close()


@pytest.fixture(scope="session")
def numbers() -> Iterator[int]:
    return itertools.count(1)


@pytest.fixture
def fresh(numbers: Iterator[int]) -> Callable[[str], str]:
    """A name that no other test has."""
    return lambda stem: f"{stem}-{next(numbers)}-{secrets.token_hex(2)}"


@pytest.fixture
def client_environment(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of the demo, in this process; for client libraries that read it when they are used."""
    for name, value in demo.environment.items():
        monkeypatch.setenv(name, value)
    return demo.environment


class Api:
    """Plain requests to the gateway, for what no client library lets one see."""

    def __init__(self, demo: Demo) -> None:
        self.root = demo.environment["GSTACK_URL"]
        self.project = demo.environment["GSTACK_PROJECT"]
        self.zone = demo.environment["GSTACK_ZONE"]
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = demo.environment["GSTACK_CA_FILE"]
        self.session.headers["Authorization"] = f"Bearer {demo.environment['GSTACK_TOKEN']}"

    def __call__(self, verb: str, path: str, **more: Any) -> requests.Response:
        """The answer to ``path`` below the project, or from the root on where it begins with a slash."""
        url = self.root + path if path.startswith("/") else f"{self.root}/compute/v1/{self.at(path)}"
        return self.session.request(verb, url, timeout=150, **more)

    def at(self, path: str) -> str:
        """``path`` with its project, ``Z/`` at its beginning standing for the zone."""
        path = f"zones/{self.zone}/{path[2:]}" if path.startswith("Z/") else path
        return f"projects/{self.project}/{path}".rstrip("/")

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        """The resource at ``path``; fails the test where there is none."""
        answer = self("GET", path, params=params)
        assert answer.ok, answer.text
        return dict(answer.json())

    def done(self, verb: str, path: str, **more: Any) -> dict[str, Any]:
        """The operation that this request starts, once it is DONE; fails the test where it is refused."""
        answer = self(verb, path, **more)
        assert answer.ok, answer.text
        operation = dict(answer.json())
        while operation["status"] != "DONE":
            answer = self.session.post(operation["selfLink"] + "/wait", timeout=150)
            assert answer.ok, answer.text
            operation = dict(answer.json())
        return operation


@pytest.fixture
def client(client_environment: dict[str, str]) -> Iterator[Callable[[str], Any]]:
    """google-cloud-compute's client by the name of its class, made as the documentation says, and closed at the end."""
    options = {"api_endpoint": client_environment["GSTACK_URL"]}
    with contextlib.ExitStack() as stack:
        yield lambda name: stack.enter_context(getattr(compute_v1, name)(client_options=options))


@pytest.fixture(scope="session")
def api(demo: Demo) -> Iterator[Api]:
    caller = Api(demo)
    yield caller
    caller.session.close()


@dataclass(frozen=True)
class Ran:
    """How one command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its standard output, read as JSON; only for commands that succeeded."""
        assert self.status == 0, self.err
        return json.loads(self.out)


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A search path on which ``gstack`` and ``python`` are those under test, installed or not."""
    folder = tmp_path_factory.mktemp("tools")
    for name, words in (("gstack", "-m gstack"), ("python", "")):
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        script.chmod(0o755)
    return os.pathsep.join((str(folder), os.environ["PATH"]))


def _start(
    command: tuple[str, ...], environment: dict[str, str], folder: Path | None, seconds: float = COMMAND_SECONDS
) -> Ran:
    # What this machine tells clients about itself is not what a reader of the documentation has set.
    ours = {name: value for name, value in os.environ.items() if not name.startswith(SET_BY_MACHINES)}
    python_path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
    with subprocess.Popen(
        command,
        env=ours | {"PYTHONPATH": python_path} | environment,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        try:
            out, err = running.communicate(timeout=seconds)
        except BaseException:  # too late, or interrupted: what the command has started goes with it
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            raise
    return Ran(running.returncode, out, err)


@pytest.fixture
def run(demo: Demo, tools: str) -> Callable[..., Ran]:
    """Any command, in the demo's environment."""

    def start(*command: str, folder: Path | None = None, seconds: float = COMMAND_SECONDS) -> Ran:
        return _start(command, demo.environment | {"PATH": tools}, folder, seconds)

    return start


@pytest.fixture
def alone(tools: str, tmp_path: Path) -> Callable[..., Ran]:
    """Any command, without a demo, in a folder and a home of its own."""

    def start(*command: str, **environment: str) -> Ran:
        return _start(command, {"PATH": tools, "HOME": str(tmp_path)} | environment, tmp_path)

    return start


@pytest.fixture(scope="session")
def terraform_configuration(tools: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """terraform.rc that leads to Google's provider, built from its module as docs/clients/terraform.md says."""
    module = re.search(r"go install (\S+)", (ROOT / "docs" / "clients" / "terraform.md").read_text())
    assert module is not None
    folder = tmp_path_factory.mktemp("provider")
    command = ("env", f"GOBIN={folder}", "go", "install", module[1])
    ran = _start(command, {"PATH": tools}, None, BUILDING_SECONDS)
    assert ran.status == 0, ran.err
    overrides = f'dev_overrides {{ "hashicorp/google" = "{folder}" }}'
    (folder / "terraform.rc").write_text(f"provider_installation {{\n{overrides}\ndirect {{}}\n}}\n")
    return folder / "terraform.rc"


@pytest.fixture(scope="session")
def installed_gcloud() -> str:
    """Where gcloud is; for tests that need it."""
    if GCLOUD is None:
        pytest.skip("gcloud is not installed on this machine")
    return GCLOUD


@pytest.fixture
def gcloud(run: Callable[..., Ran], installed_gcloud: str) -> Callable[..., Ran]:
    """The installed gcloud; with ``as_json`` its answer has ``.json``."""

    def start(*words: str, as_json: bool = False) -> Ran:
        return run(installed_gcloud, "--quiet", *words, *(["--format=json"] if as_json else []))

    return start


@pytest.fixture
def done(gcloud: Callable[..., Ran]) -> Callable[..., Ran]:
    """A command of ``gcloud compute`` that must end well."""

    def start(*words: str) -> Ran:
        ran = gcloud("compute", *words)
        assert ran.status == 0, ran.err
        return ran

    return start


@pytest.fixture
def described(gcloud: Callable[..., Ran]) -> Callable[..., Any]:
    """What a command of ``gcloud compute`` tells, read."""
    return lambda *words: gcloud("compute", *words, as_json=True).json


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """``make test`` stays a matter of minutes: what is marked long is left to ``make test-clients``."""
    if ALL_CLIENTS:
        return
    long = [item for item in items if item.get_closest_marker("long")]
    if long:
        items[:] = [item for item in items if item not in long]
        config.hook.pytest_deselected(items=long)


def _counted(demo: Demo) -> dict[str, float]:
    """How often each method was answered, and how many operations failed, by the gateway's own counting; nothing while
    it is down, as some tests leave it."""
    settings = demo.gateway.settings
    bearer = {"Authorization": f"Bearer {(settings.folder / TOKEN_FILE).read_text().strip()}"}
    with contextlib.suppress(requests.ConnectionError), requests.Session() as session:
        session.trust_env = False
        url, authority = f"{settings.public_url}/metrics", str(settings.folder / "ca.pem")
        answer = session.get(url, headers=bearer, verify=authority, timeout=30)
        assert answer.status_code == 200, "without these numbers no client has done anything"
        failed = sum(float(number) for number in FAILED.findall(answer.text))
        return {method: float(number) for method, number in COUNTED.findall(answer.text)} | {
            "a failed operation": failed
        }
    return {}


@pytest.fixture(autouse=True)
def asked(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Iterator[None]:
    """What the test has its client ask, for the table of ``make test-clients``: see tools/client_duties.py."""
    if not ALL_CLIENTS or "demo" not in request.fixturenames:
        yield
        return
    demo: Demo = request.getfixturevalue("demo")
    before = _counted(demo)
    yield
    grown = [name for name, number in _counted(demo).items() if number > before.get(name, 0)]
    record_property("asked", ",".join(sorted(grown)))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Under CI, what is installed must be tested."""
    outcome = yield
    report = outcome.get_result()
    needs_gcloud = "installed_gcloud" in getattr(item, "fixturenames", ())
    if report.skipped and needs_gcloud and GCLOUD is not None and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped although gcloud is installed: {report.longrepr}"
