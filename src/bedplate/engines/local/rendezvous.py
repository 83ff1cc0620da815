"""The port where the tasks of a gang meet.

Each gang gets a port that the engine holds bound, with SO_REUSEADDR and without listening, for the life of the gang. Linux then
gives this port to nobody who asks for a free one, while rank 0 may bind it by number and listen, with SO_REUSEADDR (torch's
TCPStore, asyncio, socketserver and uvicorn all set it). So there is no moment at which two gangs, of one engine or of two, can
get the same port.
"""

from __future__ import annotations

import socket

from bedplate.core.errors import UnavailableError


def check_loopback() -> None:
    """Refuse to start processes that could not reach one another.

    With the interface down a port of 127.0.0.1 can be bound, but not connected to.

    Raises:
        UnavailableError: The loopback interface is down.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("127.0.0.1", 9))  # sends nothing: it only looks for a route
        except OSError as error:
            raise UnavailableError(
                "the processes of a gang could not reach one another: the loopback interface is down",
                seen=f"127.0.0.1: {error.strerror}",
                expected="interface lo, up",
                next_step="ip link set lo up",
            ) from error


def hold_rendezvous(host: str = "127.0.0.1") -> socket.socket:
    """A port of `host`, bound so that nobody else is given it, and not listening so that rank 0 can."""
    holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((host, 0))
    return holder
