"""An embedded CloudStack: an API server in Python that answers as recorded CloudStack 4.22 does.

    with Server(Simulator(job_seconds=0)) as server:
        key, secret = server.simulator.keys("tenant")
        ...  # any CloudStack client, at server.url

A package of its own that imports nothing else of gstack. Surprising: nothing in it knows of Google's API.
"""

from .server import Server, WsgiApp, serve
from .signing import sign
from .simulator import Cut, Simulator

__all__ = ["Cut", "Server", "Simulator", "WsgiApp", "serve", "sign"]
