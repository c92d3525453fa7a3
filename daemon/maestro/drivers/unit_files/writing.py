"""A unit file is written in one step: who reads meanwhile has the old text or the new one."""

from __future__ import annotations

import contextlib
import os
from functools import partial

from maestro.drivers.unit_files.links import sync


def put(path: str, text: str, mode: int = 0o644) -> None:
    directory, file = os.path.split(path)
    if not os.path.isdir(directory):
        os.makedirs(directory, exist_ok=True)
        os.chmod(directory, 0o755)  # whatever the umask: one that all may write is refused
    new = os.path.join(directory, f".{file[:200]}.new{os.getpid()}")
    try:
        with open(new, "w", encoding="utf-8", opener=partial(os.open, mode=0o600)) as stream:
            stream.write(text)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        os.replace(new, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)
        raise
    sync(directory)
