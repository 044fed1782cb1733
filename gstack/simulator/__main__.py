"""python -m gstack.simulator: the embedded CloudStack on its own.

Apart, because importing the package must not read arguments. Surprising: it prints the API keys it made,
since there is no other way to learn them.
"""

from __future__ import annotations

import argparse
import os
import signal

from .seed import read
from .server import Server
from .simulator import Simulator


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m gstack.simulator",
        description="An embedded CloudStack 4.22.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    zones = [zone["name"] for zone in read("cloud.json")["zones"]]
    parser.add_argument("--port", type=int, default=8080, help="where it listens; 0: any that is free")
    parser.add_argument("--host", default="127.0.0.1", help="address it listens on")
    parser.add_argument("--state", metavar="DIR", help="keep the cloud in this folder")
    parser.add_argument("--job-seconds", type=float, default=0.3, help="how long a job takes")
    parser.add_argument("--seed", type=int, help="the same seed makes the same keys and ids")
    parser.add_argument("--expunge-delay", type=float, default=86_400.0, help="seconds until a machine is expunged")
    parser.add_argument("--zone", action="append", choices=zones, help="show only this zone; may be repeated")
    parser.add_argument("--control", action="store_true", help="open /control for faults and settings")
    options = parser.parse_args()
    settings = {"expunge.delay": options.expunge_delay}
    try:
        cloud = Simulator(options.job_seconds, options.state, seed=options.seed, settings=settings, zones=options.zone)
        server = Server(cloud, options.port, options.host, options.control).start()
    except OSError as error:
        parser.error(str(error))
    ended, ending = os.pipe()  # not an Event: a handler that sets it may wait for itself
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os.write(ending, b"."))
    for user in cloud.world.user:
        print(f"{user.name}: apikey {user.api_key} secretkey {user.secret_key}")
    print(f"listening on {server.url}", flush=True)
    os.read(ended, 1)
    server.stop()


if __name__ == "__main__":
    main()
