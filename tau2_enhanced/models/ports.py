"""Whether a port can be had."""

from __future__ import annotations

import socket

from tau2_enhanced.errors import UserMistake


def check_port(port: int, flag: str) -> None:
    """Raise UserMistake where no server can listen at a port on loopback; `flag` is the one that chooses another."""
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserMistake(f"port {port} can't be used ({reason}): see {flag}") from None
