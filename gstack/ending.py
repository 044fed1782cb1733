"""That a process is to end, said by a signal's handler and to be waited for.

Apart because the server and the operations worker are told alike. The surprising thing: it is a pipe. The obvious
threading.Event has a lock that it takes when it is set, and a handler runs in the middle of whatever the main thread
does: of waiting for that very event, or of an earlier signal's handler that sets it. Either would wait for itself.
"""

from __future__ import annotations

import contextlib
import os
import select


class End:
    """Whether a process is to end, as it and the processes forked from it see it.

    A pipe with a byte in it that nobody takes out. An Event of multiprocessing would wait, when it is set, for every
    process that waits on it: for ever for one that was killed, or that the same signal has just ended.
    """

    def __init__(self) -> None:
        self._told, self._telling = os.pipe()
        os.set_blocking(self._telling, False)

    def tell(self) -> None:
        """Say so; any number of times, and within a signal's handler."""
        with contextlib.suppress(BlockingIOError):  # it is full: it has been said
            os.write(self._telling, b".")

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for it, ``seconds`` at the most; whether it has been said."""
        waiting = select.poll()
        waiting.register(self._told, select.POLLIN)
        return bool(waiting.poll(None if seconds is None else seconds * 1000))
