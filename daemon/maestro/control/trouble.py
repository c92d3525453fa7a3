"""Why the control socket cannot be reached, in a sentence, and what to do. Read only when it went wrong."""

from __future__ import annotations

import os
import stat

from maestro.control.bounds import MAX_REQUEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class CallError(Exception):
    """A request has failed: the daemon refused it, or could not be asked. `code` is a key of cli.exits."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


def not_running(path: str, root: str) -> CallError:
    where = f" with root {root}" if root else ""
    lacks = "nobody listens at" if os.path.lexists(path) else "no socket at"
    message = f"maestrod is not running{where} ({lacks} {path})"
    return CallError("no-daemon", message, "start it with bin/maestrod or systemctl start maestrod")


def too_long(size: int) -> CallError:
    message = f"this request has {size} bytes, and {MAX_REQUEST} are allowed"
    return CallError(
        "bad-request", message, "ask for less at once; a program can read long texts from a file"
    )


def no_answer(seconds: float) -> CallError:
    said = f"maestrod did not answer for {seconds:g} s; it may still be done"
    return CallError("no-answer", said, "its log says whether the manager starts; agents run on meanwhile")


def cannot_connect(path: str, error: OSError) -> CallError:
    said = (error.strerror or str(error)).lower()
    return CallError("cannot-connect", f"cannot connect to {path}: {said}", "check --root and $MAESTRO_ROOT")


def may_not_open(path: str) -> CallError:
    """Which directory or socket refuses whom."""
    you = f"uid {os.geteuid()} ({_user(os.geteuid())})"
    for place, right, verb in _steps(path):
        if not os.access(place, right, effective_ids=True):
            owner, group, mode = _ownership(place)
            message = f"{you} may not {verb} {place} (owner {owner}, group {group}, mode {mode})"
            return CallError("may-not-open", message, _hint(group))
    return CallError("may-not-open", f"{you} may not open {path}", _hint(""))


def _steps(path: str) -> Iterator[tuple[str, int, str]]:
    """The directories on the way, then the socket, each with the right it takes."""
    place = ""
    for part in os.path.dirname(os.path.abspath(path)).split("/"):
        place = f"{place}/{part}" if part else place
        yield place or "/", os.X_OK, "enter"
    yield path, os.W_OK, "write to"


def _hint(group: str) -> str:
    if group in ("", "root") or group.isdigit():
        return "run it as root"
    return f"run it as root, or be made a member of group {group}: usermod -aG {group} {_user(os.geteuid())}"


def _ownership(place: str) -> tuple[str, str, str]:
    try:
        status = os.stat(place)
    except OSError:
        return "unknown", "unknown", "unknown"
    return _user(status.st_uid), _group(status.st_gid), f"{stat.S_IMODE(status.st_mode):04o}"


def _user(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    import grp

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
