"""What the processes of a training report to the launcher, as lines of JSON on standard output."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time

RETRY_SECONDS = 0.2


def tell(**content) -> None:
    """Report something to the launcher."""
    stream = sys.__stdout__
    assert stream is not None
    stream.write(json.dumps(content) + "\n")  # one call, since threads report too
    stream.flush()


def tell_when_reached(variables: dict[str, str]) -> None:
    """Report when this process reaches the scheduler. Do not wait for it: a thread tries until it succeeds.

    Args:
        variables: See `hosts.join`.
    """
    scheduler = variables["DMLC_PS_ROOT_URI"], int(variables["DMLC_PS_ROOT_PORT"])

    def reach():
        while True:
            try:
                socket.create_connection(scheduler, timeout=10).close()
            except OSError:
                time.sleep(RETRY_SECONDS)
            else:
                tell(reached=True)
                return

    threading.Thread(target=reach, daemon=True).start()
