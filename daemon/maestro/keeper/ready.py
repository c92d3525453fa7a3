"""Telling who started us that clients are answered: sd_notify's READY=1, for `Type=notify`.

Only then does what is ordered after the service begin, and `systemctl start` return.
"""

from __future__ import annotations

import os
from _socket import AF_UNIX, SOCK_CLOEXEC, SOCK_DGRAM, socket

from maestro.keeper.say import error_name, say

VARIABLE = "NOTIFY_SOCKET"
_PATIENCE = 2.0  # seconds to wait where its queue is full


def tell(trouble: str = "") -> None:
    """We are there; `trouble` is what `systemctl status` says beside. May be told again: the newest word counts.

    With a manager that does not come up we are there, too: somebody who waits for us could do nothing about it.
    """
    path = os.environ.get(VARIABLE, "")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    try:
        notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC)
        try:
            notify.settimeout(_PATIENCE)
            notify.sendto(f"READY=1\nSTATUS={trouble}".encode(errors="replace"), address)
        finally:
            notify.close()
    except OSError as error:
        say(f"cannot tell {path} that we are ready: {error_name(error)}")
