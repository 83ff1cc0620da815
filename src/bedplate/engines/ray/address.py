"""Whether a Ray cluster answers at an address, found out before Ray is asked to join it.

On a port where something else listens (a web server, Ray's own client server on 10001, a forwarder to a dead cluster)
`ray.init` tries for two and a half minutes, writes its log to the terminal all the while, and cannot be interrupted. So a
connection is tried first, and then a process of its own, whose output nobody sees, asks the control store for the cluster's
identity.
"""

from __future__ import annotations

import socket
import subprocess
import sys

from bedplate.core.errors import UnavailableError, UsageError

CONNECT_S = 5.0
ANSWER_S = 15.0
"""The control store answers within milliseconds, but the process that asks imports Ray first: seconds on a busy machine."""

_ASK = """
import sys
from ray._private import services
from ray._raylet import GcsClient
GcsClient(address=services.canonicalize_bootstrap_address_or_die(sys.argv[1]))
"""


def check_cluster(address: str) -> None:
    """Return when a cluster answers.

    Args:
        address: `host:port` of the control store, or `auto` for the cluster that runs on this machine.

    Raises:
        UsageError: Not an address.
        UnavailableError: No cluster answers there.
    """
    host, colon, port = address.rpartition(":")
    if address != "auto":
        if not (colon and port.isdigit()) or "/" in address:
            raise UsageError(
                "not the address of a Ray cluster",
                seen=address,
                expected="HOST:PORT of its control store (6379 unless it was set otherwise), or auto",
                next_step="Ray's own ray://HOST:10001 is its client server, which bedplate does not use",
            )
        try:
            socket.create_connection((host, int(port)), timeout=CONNECT_S).close()
        except (OSError, OverflowError) as error:
            raise no_cluster(address, error) from error
    try:
        asked = subprocess.run(
            [sys.executable, "-c", _ASK, address], capture_output=True, text=True, timeout=ANSWER_S, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise no_cluster(address, f"something listens there, and does not answer as Ray does in {ANSWER_S:g} s") from error
    if asked.returncode:
        raise no_cluster(address, (asked.stderr.strip().splitlines() or ["no answer"])[-1])


def no_cluster(address: str, seen: object) -> UnavailableError:
    """The error for an address where there is no cluster."""
    return UnavailableError(
        f"no Ray cluster answers at {address}",
        seen=seen,
        expected="HOST:PORT of the control store of a running cluster of which this machine is a node",
        next_step="'ray start --head' starts one here, 'ray start --address HOST:6379' joins one",
    )
