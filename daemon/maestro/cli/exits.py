"""Exit codes of maestroctl: what each means, and which errors lead to it."""

from __future__ import annotations

OK = 0
FAILED = 1
USAGE = 2
NOT_ACTIVE = 3
NO_SUCH_UNIT = 4
NOT_ALLOWED = 5
REFUSED = 6
NO_DAEMON = 7
DEPENDENCY = 8
CANCELED = 9
INCOMPLETE = 10
NO_ANSWER = 75
INTERRUPTED = 130

# code, meaning, the codes of errors that lead to it (any other: REFUSED)
EXITS: tuple[tuple[int, str, tuple[str, ...]], ...] = (
    (OK, "All is well.", ()),
    (
        FAILED,
        "A unit did not get where it should, or a file has problems; is-failed: no unit that was named has failed.",
        ("internal", "bad-frame", "audit-broken", "not-started"),
    ),
    (USAGE, "The command line makes no sense.", ("bad-request",)),
    (NOT_ACTIVE, "status: a unit that was named is not active; is-active: none of them is.", ()),
    (NO_SUCH_UNIT, "No unit of that name.", ("no-such-unit",)),
    (NOT_ALLOWED, "You are not allowed to.", ("not-allowed", "may-not-open")),
    (REFUSED, "The daemon refused, and said why.", ()),
    (NO_DAEMON, "The daemon is not running.", ("no-daemon", "cannot-connect")),
    (DEPENDENCY, "The unit waits for a unit that has failed or is stopped.", ()),
    (CANCELED, "A later verb wanted something else.", ()),
    (INCOMPLETE, "import, export: something that the files say was dropped, and is told.", ()),
    (
        NO_ANSWER,
        "The daemon did not answer in time; what was asked may still be done.",
        ("no-answer", "timeout", "busy"),
    ),
    (INTERRUPTED, "Interrupted by Ctrl-C; what was begun goes on.", ()),
)
_OF_ERRORS = {error: code for code, _, errors in EXITS for error in errors}
_OF_JOBS = {"done": OK, "running": OK, "failed": FAILED, "dependency": DEPENDENCY, "canceled": CANCELED}


def of_error(code: str) -> int:
    return _OF_ERRORS.get(code, REFUSED)


def of_job(state: str) -> int:
    return _OF_JOBS.get(state, FAILED)


def worst(codes: list[int]) -> int:
    """Of several units: the lowest code that is not 0."""
    return min((code for code in codes if code != OK), default=OK)


def epilog() -> str:
    """The table for people."""
    rows = [f"  {code:>3}  {meaning}" for code, meaning, _ in EXITS]
    return "Exit codes (of several units, the lowest that is not 0):\n" + "\n".join(rows)
