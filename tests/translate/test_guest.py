"""What a guest does at every boot, run for real in a folder that stands for its root.

The accounts of the system are played by small programs; everything else is the shell's. With cloud-init on the path
(Debian's package has it as a Python module), its own reader runs the user data of two boots of one instance.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable
from email.message import Message
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from gstack.translate import userdata
from gstack.translate.guest import MARK, program

COMMANDS = {
    "id": 'grep -q "^$1:" "$GSTACK_ROOT/passwd"',
    "useradd": 'for name; do :; done; echo "$name:x:1:1::/home/$name:/bin/sh" >> "$GSTACK_ROOT/passwd"\n'
    'mkdir -p "$GSTACK_ROOT/home/$name"',
    "getent": 'grep "^$2:" "$GSTACK_ROOT/passwd"',
    "chown": "true",
}


class Guest:
    """A machine: ``root`` is its file system."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "etc" / "sudoers.d").mkdir(parents=True)
        (root / "home").mkdir()
        (root / "passwd").write_text("root:x:0:0::/root:/bin/sh\n")
        (root / "bin").mkdir()
        for name, text in COMMANDS.items():
            (root / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
            (root / "bin" / name).chmod(0o755)
        self.environment = {"PATH": f"{root}/bin:/usr/bin:/bin", "GSTACK_ROOT": str(root)}

    def boot(self, **said: Any) -> list[str]:
        """Run the program and then what cloud-init would run; the scripts' lines."""
        given = {"metadata": {}, "users": {}, "script": "", "url": ""} | said
        text = program(**given).decode().removeprefix(MARK)
        subprocess.run(["/bin/sh", "-e", "-c", text], check=True, env=self.environment, timeout=30)
        return self.run_scripts()

    def run_scripts(self) -> list[str]:
        lines: list[str] = []
        for script in sorted((self.root / "var/lib/cloud/scripts/per-boot").iterdir()):
            assert script.stat().st_mode & 0o777 == 0o700
            ran = subprocess.run([script], check=True, env=self.environment, timeout=30, capture_output=True, text=True)
            lines += ran.stdout.splitlines()
        return lines

    def keys(self, name: str) -> list[str]:
        text = (self.root / "home" / name / ".ssh" / "authorized_keys").read_text()
        return [line for line in text.splitlines() if not line.startswith("#")]

    @property
    def sudoers(self) -> list[str]:
        return [line.split()[0] for line in (self.root / "etc/sudoers.d/gstack").read_text().splitlines()]


@pytest.fixture
def guest(tmp_path: Path) -> Guest:
    return Guest(tmp_path)


def test_a_startup_script_runs_at_every_boot_as_long_as_it_is_there(guest: Guest) -> None:
    assert guest.boot(script="#!/bin/sh\necho one $((1 + 1))\n") == ["one 2"]
    assert guest.boot(script="echo \"$BASH_VERSION\" | grep -c '[.]'\r\n") == ["1"]
    assert guest.boot() == []


def test_metadata_is_a_file_for_root_only(guest: Guest) -> None:
    said = {"a": "'\"$(touch x) \\ ✓\nnext"}
    guest.boot(metadata=said)
    file = guest.root / "etc/gstack/metadata.json"
    assert json.loads(file.read_text()) == said
    assert file.stat().st_mode & 0o777 == 0o600


def test_keys_come_and_go_with_the_metadata_and_others_stay(guest: Guest) -> None:
    guest.boot(users={"ada": ["ssh-ed25519 AAAA ada@laptop", "ssh-rsa BBBB"], "bob": ["ssh-rsa CCCC"]})
    assert (guest.keys("ada"), guest.sudoers) == (["ssh-ed25519 AAAA ada@laptop", "ssh-rsa BBBB"], ["ada", "bob"])
    file = guest.root / "home/ada/.ssh/authorized_keys"
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text("ssh-rsa OWN\n" + file.read_text() + "ssh-rsa ALSO\n")
    guest.boot(users={"ada": ["ssh-rsa NEW"]})
    assert (guest.keys("ada"), guest.keys("bob")) == (["ssh-rsa OWN", "ssh-rsa ALSO", "ssh-rsa NEW"], [])
    assert guest.sudoers == ["ada"]
    guest.boot()
    assert (guest.keys("ada"), guest.sudoers) == (["ssh-rsa OWN", "ssh-rsa ALSO"], [])


def test_an_account_may_have_a_dot_and_capitals(guest: Guest) -> None:
    guest.boot(users={"Jane.Doe": ["ssh-rsa AAAA"]})
    guest.boot(users={"Jane.Doe": ["ssh-rsa BBBB"]})
    assert (guest.keys("Jane.Doe"), guest.sudoers) == (["ssh-rsa BBBB"], ["Jane.Doe"])


def test_a_link_in_the_place_of_the_keys_is_not_followed(guest: Guest) -> None:
    guest.boot(users={"ada": ["ssh-rsa AAAA"]})
    file, other = guest.root / "home/ada/.ssh/authorized_keys", guest.root / "other"
    file.unlink()
    other.write_text("as it was")
    file.symlink_to(other)
    guest.boot(users={"ada": ["ssh-rsa NEW"]})
    assert other.read_text() == "as it was"


@pytest.mark.parametrize("text", ["#!/bin/sh\necho fetched\n", "echo fetched $((${#BASH_VERSION} > 0))\n"])
def test_a_startup_script_is_fetched_from_its_address_at_every_boot(guest: Guest, text: str) -> None:
    asked: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/a?b='c'&d=$e"
        lines = guest.boot(url=url) + guest.boot(url=url)
        server.shutdown()
    assert [line.split()[0] for line in lines] == ["fetched", "fetched"]
    assert asked == ["/a?b='c'&d=$e"] * 2
    assert list((guest.root / "var/lib/cloud").glob("gstack.*")) == []


@pytest.fixture
def cloud_init(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], None]:
    """Lets cloud-init consume user data as at a boot of one and the same instance."""
    reason = "cloud-init is not on the path: it is Debian's package, not one of PyPI's"
    handlers = pytest.importorskip("cloudinit.handlers", reason=reason)
    from cloudinit import helpers, user_data
    from cloudinit.handlers.boot_hook import BootHookPartHandler
    from cloudinit.settings import PER_INSTANCE

    for name, value in guest.environment.items():
        monkeypatch.setenv(name, value)

    class Source:
        def get_instance_id(self) -> str:
            return "i-1"

    paths = helpers.Paths(
        {"cloud_dir": str(guest.root / "var/lib/cloud"), "run_dir": str(guest.root / "run")}, Source()
    )
    seen: list[int] = []

    def consume(data: str | None) -> None:
        message: Message = user_data.UserDataProcessor(paths).process(base64.b64decode(data or ""))
        hook = BootHookPartHandler(paths, Source())
        told = {
            "handlers": {"text/cloud-boothook": hook},
            "handlerdir": str(guest.root),
            "data": None,
            "frequency": "always" if seen else PER_INSTANCE,
            "handlercount": 0,
            "excluded": ["text/cloud-config", "text/x-shellscript"],
        }
        seen.append(1)
        handlers.walk(message, handlers.walker_callback, data=told)

    return consume


@pytest.mark.filterwarnings("ignore")
def test_cloud_init_takes_up_at_the_second_boot_what_was_changed_since_the_first(
    guest: Guest, cloud_init: Callable[[str | None], None]
) -> None:
    def items(**said: str) -> list[dict[str, str]]:
        return [{"key": key.replace("_", "-"), "value": value} for key, value in said.items()]

    own = items(ssh_keys="ada:ssh-rsa AAAA", startup_script="echo first ✓", user_data="#cloud-config\n{}\n")
    cloud_init(userdata.compose(own, "vm.example.com"))
    assert (guest.keys("ada"), guest.run_scripts()) == (["ssh-rsa AAAA"], ["first ✓"])
    shared = items(ssh_keys="eve:ssh-rsa EEEE")
    cloud_init(userdata.compose(items(startup_script="echo " + "second" * 9000), None, shared, later=True))
    assert (guest.keys("ada"), guest.keys("eve")) == ([], ["ssh-rsa EEEE"])
    assert guest.run_scripts() == ["second" * 9000]
    cloud_init(userdata.compose([], later=True))
    assert (guest.keys("eve"), guest.run_scripts(), guest.sudoers) == ([], [], [])
