"""What runs below a pid, from /proc."""

from __future__ import annotations

_MOST = 200  # processes listed for one agent


def tree(pid: int) -> list[tuple[int, int, str]]:
    """(pid, parent, command line) of a process and its descendants, parents before children."""
    found: list[tuple[int, int, str]] = []
    todo = [(pid, 0)]
    while todo and len(found) < _MOST:
        here, parent = todo.pop(0)
        command = _command(here)
        if command:
            found.append((here, parent, command))
            todo.extend((child, here) for child in _children(here))
    return found


def keeper_of(pid: int) -> int:
    """The maestrod whose manager this process is; 0: it is none, or the last breath of one whose keeper was killed."""
    stat = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    keeper = int(stat[1]) if stat and _command(pid).startswith("maestrod: manager") else 0
    return keeper if _command(keeper).startswith("maestrod: keeper") else 0


def _command(pid: int) -> str:
    line = _read(f"/proc/{pid}/cmdline").rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")
    if line:
        return line
    name = _read(f"/proc/{pid}/comm").decode("utf-8", "replace").strip()
    return f"[{name}]" if name else ""


def _children(pid: int) -> list[int]:
    return [int(child) for child in _read(f"/proc/{pid}/task/{pid}/children").split()]


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(4096)
    except OSError:
        return b""
