"""Whether a gateway can be started on a port.

Apart because tests of several rooms start one where another has just been killed. The surprising thing: a port whose
connections are still winding down may be listened on, and counts as such.
"""

from __future__ import annotations

import socket


def may_listen(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
