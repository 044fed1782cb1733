"""The running gateway: the web server with TLS, and beside it the one process that runs operations, and the proxy.

Apart from the app because nothing here knows a request. The surprising thing: the operations worker is a child of
this process and not of a web worker, so that a web worker's death stops no operation; and every child watches its
parent, so that a killed gateway leaves no process behind that holds the port or the lock.
"""

from __future__ import annotations

import errno
import gc
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import structlog
from flask import Flask
from granian import Granian
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings, HTTP2Settings
from granian.log import LogLevels
from granian.server.common import AbstractServer
from sqlalchemy import text

from gstack import certificates, logs, metrics
from gstack.app import create_app
from gstack.cloudstack.client import Endpoint
from gstack.connections import Connections
from gstack.doorway import Doorway
from gstack.ending import End
from gstack.operations import engine
from gstack.peers import Peers
from gstack.settings import Settings, SettingsError
from gstack.store.db import db, let_go_of_replaced, open_store
from gstack.store.sealing import Sealer

log = structlog.get_logger(__name__)

# What a request that is under way at a shutdown may still take; those that wait for operations are answered at once.
FINISHING_SECONDS = 30
REMEDIES = {
    errno.EADDRINUSE: "Choose another port, or end what has this one.",
    errno.EACCES: "A port below 1024 takes root, or the capability CAP_NET_BIND_SERVICE.",
}
# Connections of one worker, and of its files those that are none. The doorway bounds requests: of HTTP/2 a connection
# has many. Beyond three quarters idle ones are closed.
MOST_CONNECTIONS = 1024
OTHER_FILES = 1024
# A list of 500 instances makes some ten thousand objects that go with its answer. Looking after every 700, as Python
# does by itself, which of them are still there takes a tenth of the list's CPU.
OBJECTS_BETWEEN_COLLECTIONS = 20_000
# Bytes of a request's headers. A thousand requests may wait; and in HTTP/2 a few bytes can stand for long headers.
LARGEST_HEAD = 64 * 1024
TLS_MINIMUM = {"1.2": SSLProtocols.tls12, "1.3": SSLProtocols.tls13}


def serve(settings: Settings, config_file: Path | None = None) -> None:
    """Serve until SIGINT or SIGTERM. Raises :class:`SettingsError`, or what the store raises, where the configuration
    cannot be served."""
    os.umask(0o077)
    logs.configure(settings)
    tls = _tls_options(settings)
    _check_store(settings)
    Endpoint(settings).close()
    address = _address(settings["GSTACK_BIND_ADDRESS"])
    _refuse_taken_port("GSTACK_PORT", address, settings["GSTACK_PORT"])
    metrics.share(settings.folder)
    most = room_for_connections(settings["GSTACK_THREADS"])
    companions = [Companion("gstack.operations.worker", config_file)]
    if settings["GSTACK_PROXY_PORT"]:
        _check_proxy(settings)
        companions.append(Companion("gstack.proxy", config_file))
    server = Granian(
        "gstack.app:create_app",
        address=address,
        port=settings["GSTACK_PORT"],
        interface=Interfaces.RSGI,
        workers=settings["GSTACK_WORKERS"],
        websockets=False,
        backpressure=most,
        http=HTTPModes.auto,
        http1_settings=HTTP1Settings(max_buffer_size=LARGEST_HEAD),
        # More would wait for a thread; and answers that nobody reads, however long, stay in the memory.
        http2_settings=HTTP2Settings(max_headers_size=LARGEST_HEAD, max_concurrent_streams=settings["GSTACK_THREADS"]),
        log_level=LogLevels.error,
        respawn_failed_workers=True,
        respawn_interval=0.1,
        workers_kill_timeout=FINISHING_SECONDS,
        **tls,
    )
    for companion in companions:
        server.on_startup(companion.start)
        server.on_shutdown(companion.stop)
    end = End()
    server.on_startup(lambda: tell_of_the_end(end, server))
    parent = os.getpid()

    def load() -> Doorway:
        leave_when_told(end)
        die_with(parent)
        gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
        app = create_app(settings)
        let_go_of_a_lost_store(app)
        let_go_at(end, app)
        peers = Peers(settings.folder) if settings["GSTACK_PROXY_PORT"] else None
        connections = Connections(settings["GSTACK_PORT"], most * 3 // 4)
        connections.watch()
        return Doorway(app, settings["GSTACK_THREADS"], peers=peers, connections=connections)

    log.info("gateway.starting", url=settings.public_url, cloudstack=settings.cloudstack_url)
    server.serve(target_loader=load, wrap_loader=False)


def room_for_connections(threads: int) -> int:
    """How many connections one worker takes; as many files as that needs are allowed to this process and its children,
    where the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    wanted = MOST_CONNECTIONS + OTHER_FILES
    soft = max(soft, wanted if hard == resource.RLIM_INFINITY else min(wanted, hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(4 * threads, min(MOST_CONNECTIONS, soft // 2))


class Companion:
    """A child process beside the web workers, started again whenever it ends before we do."""

    def __init__(self, module: str, config_file: Path | None) -> None:
        self._module = module
        # Ours, for one that we start may live to see another: when we are killed before it has looked.
        self._command = [sys.executable, "-m", module, "--parent", str(os.getpid())]
        if config_file is not None:
            self._command += ["--config", str(config_file)]
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name=f"{module}-keeper", daemon=True)

    def start(self) -> None:
        self._process = self._spawn()
        self._keeper.start()

    def stop(self) -> None:
        self._stopping.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()

    def _spawn(self) -> subprocess.Popen[bytes]:
        # Its standard output only says READY, for whoever starts it by hand. Ctrl-C goes to a terminal's whole process
        # group, but it has to go on until the web workers have answered.
        nothing = subprocess.DEVNULL
        return subprocess.Popen(self._command, stdin=nothing, stdout=nothing, process_group=0)  # noqa: S603 - ours

    def _keep(self) -> None:
        delay = 0.5
        while not self._stopping.is_set():
            process = self._process
            if process is None:
                return
            started = time.monotonic()
            status = process.wait()
            if self._stopping.is_set():
                return
            delay = 0.5 if time.monotonic() - started > 30 else min(delay * 2, 15)
            log.error("companion.ended", module=self._module, status=status, again_in_seconds=delay)
            if self._stopping.wait(delay):
                return
            self._process = self._spawn()


def tell_of_the_end(end: End, server: AbstractServer[Any]) -> None:
    """Say ``end`` at the signals that end ``server``, before it does what it does at them."""
    for number in (signal.SIGTERM, signal.SIGINT):
        served = signal.getsignal(number)

        def handle(number: int, frame: FrameType | None, served: Any = served) -> None:
            if end.wait(0):
                return  # a second signal within the first one's handler could wait for itself
            end.tell()
            # A terminal's Ctrl-C, and who stops a whole group of processes, signals the web workers too: that they go
            # now is expected.
            for worker in server.wrks:
                worker.interrupt_by_parent = True
            served(number, frame)

        signal.signal(number, handle)


def leave_when_told(end: End) -> None:
    """Let the signals that end the server end this worker at once, until it serves and has handlers of its own: those
    that it was forked with belong to the main process, and would keep that waiting until it kills the worker."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    if end.wait(0):
        os._exit(0)


def let_go_at(end: End, app: Flask) -> None:
    """Answer the requests that wait for operations as soon as the server is to end: it waits for its requests."""

    def watch() -> None:
        end.wait()
        engine.let_go(app)

    threading.Thread(target=watch, name="shutdown-watch", daemon=True).start()


def die_with(parent: int) -> None:
    """End this process as soon as ``parent`` is gone, however it went."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(0)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def let_go_of_a_lost_store(app: Flask) -> None:
    """Close connections to a database that is gone also where no request comes that would notice: as long as they are
    open, others may misread the one in its place."""

    def watch() -> None:
        while True:
            time.sleep(0.5)
            try:
                let_go_of_replaced(app)
            except Exception as error:
                log.error("store.not_let_go", error=type(error).__name__)

    threading.Thread(target=watch, name="store-watch", daemon=True).start()


def _check_store(settings: Settings) -> None:
    """A database or a key that cannot be used stops us here, and not in a worker again and again."""
    Sealer(settings)
    store = Flask("gstack.store", static_folder=None)
    open_store(store, settings)
    with store.app_context():
        db.session.execute(text("SELECT 1"))  # the operations worker brings the tables up to date
        db.session.remove()
        # Web workers forked with an open connection of SQLite's would take none of the locks they believe they have.
        db.engine.dispose()


def _tls_options(settings: Settings) -> dict[str, Any]:
    if not settings["GSTACK_TLS"]:
        return {}
    certificate = settings.file("GSTACK_CERT_FILE", "server.pem")
    key = settings.file("GSTACK_KEY_FILE", "server.key")
    for file in (certificate, key):
        if not file.exists():
            raise SettingsError(f"{file} does not exist. Run gstack-configure to make it.")
    try:
        certificates.check_pair(certificate, key)
    except ValueError as error:
        raise SettingsError(str(error)) from error
    return {
        "ssl_cert": certificate,
        "ssl_key": key,
        "ssl_protocol_min": TLS_MINIMUM[settings["GSTACK_TLS_MINIMUM"]],
    }


def _address(name: str) -> str:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise SettingsError(f"{name!r} is no address of this machine to listen on.") from error
    # IPv4 first: a client told "localhost" that only tries 127.0.0.1 must find us.
    return str(min(found, key=lambda info: info[0] != socket.AF_INET)[4][0])


def _check_proxy(settings: Settings) -> None:
    """The proxy is of no use, and clients fail far from its cause, where the certificate lacks Google's names."""
    if not settings["GSTACK_TLS"]:
        raise SettingsError("GSTACK_PROXY_PORT needs GSTACK_TLS: clients of the proxy speak TLS.")
    certificate = settings.file("GSTACK_CERT_FILE", "server.pem")
    missing = certificates.uncovered(certificate, certificates.GOOGLE_NAMES)
    if missing:
        raise SettingsError(f"{certificate} does not cover {', '.join(missing)}. Run gstack-configure --transparent.")
    address = _address(settings["GSTACK_PROXY_ADDRESS"])
    _refuse_taken_port("GSTACK_PROXY_PORT", address, settings["GSTACK_PROXY_PORT"])


def _refuse_taken_port(setting: str, address: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            why = f"{setting} {port} on {address} cannot be listened on: {error.strerror}."
            raise SettingsError(" ".join(filter(None, (why, REMEDIES.get(error.errno or 0))))) from error
