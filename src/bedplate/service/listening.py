"""The socket that a server of ours listens on."""

from __future__ import annotations

import errno
import socket

from bedplate.core.errors import UnavailableError


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; the caller closes it.

    Args:
        host: Name or address of this machine.
        port: 0 takes a free one.

    Raises:
        UnavailableError: The port is taken, or it is no address of this machine.
    """
    listener = None
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
        return listener
    except OSError as error:
        if listener is not None:
            listener.close()
        in_use = error.errno == errno.EADDRINUSE
        raise UnavailableError(
            f"port {port} is in use" if in_use else f"cannot listen on {host} port {port}",
            seen=f"{host}:{port}: {error.strerror or error}",
            expected="an address of this machine and a free port",
            next_step="stop what listens there, or choose another one with --port (0 takes a free one)",
        ) from error
