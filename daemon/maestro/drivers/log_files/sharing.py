"""Who else may read a stream's files: users and groups by an access control list, which new files inherit from the directory.

Their owner stays who he is, and nobody is given a right to write: what a tenant owned, it could replace by a link.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
from collections.abc import Sequence

_ACCESS, _DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
_VERSION, _NOBODY = 2, 0xFFFFFFFF
_OWNER, _USER, _OWNING_GROUP, _GROUP, _MASK, _OTHERS = 1, 2, 4, 8, 16, 32
_TAGS = {"user": _USER, "group": _GROUP}
_ABSENT = (errno.ENODATA, errno.EOPNOTSUPP)
_PASSABLE = 0o001

Readers = Sequence[tuple[str, int]]  # ("user", 1001), ("group", 2000)


def share(path: str, readers: Readers) -> None:
    """Let these read what is in a directory, and nobody else but its owner. Raises OSError: EOPNOTSUPP where there are no such lists."""
    if _is_so(path, readers):
        return
    files = [entry.path for entry in os.scandir(path) if entry.is_file(follow_symlinks=False)]
    if readers:
        above = os.path.dirname(path)
        mode = os.stat(above).st_mode & 0o7777
        if not mode & _PASSABLE:
            os.chmod(above, mode | _PASSABLE)  # to be passed, not to be listed
        os.setxattr(path, _DEFAULT, _acl(readers, 5, 7))
        for file in files:
            _on_file(file, readers)
        os.setxattr(path, _ACCESS, _acl(readers, 5, 7))  # the last: by it the next one sees that all is done
    else:
        for one, name in ((path, _DEFAULT), *((file, _ACCESS) for file in files), (path, _ACCESS)):
            _without(one, name)


def _is_so(path: str, readers: Readers) -> bool:
    try:
        found = os.getxattr(path, _ACCESS)
    except OSError as error:
        if error.errno in _ABSENT:
            return not readers
        raise
    return bool(readers) and found == _acl(readers, 5, 7)


def _on_file(file: str, readers: Readers) -> None:
    with contextlib.suppress(FileNotFoundError):  # it was just removed
        os.setxattr(file, _ACCESS, _acl(readers, 4, 6), follow_symlinks=False)


def _without(path: str, name: str) -> None:
    try:
        os.removexattr(path, name, follow_symlinks=False)
    except OSError as error:
        if error.errno not in (*_ABSENT, errno.ENOENT):
            raise


def _acl(readers: Readers, may: int, owner: int) -> bytes:
    """As the kernel keeps it, in its order."""
    named = sorted((_TAGS[kind], may, number) for kind, number in set(readers))
    entries = [
        (_OWNER, owner, _NOBODY),
        *(one for one in named if one[0] == _USER),
        (_OWNING_GROUP, may, _NOBODY),
        *(one for one in named if one[0] == _GROUP),
        (_MASK, may, _NOBODY),
        (_OTHERS, 0, _NOBODY),
    ]
    return struct.pack("<I", _VERSION) + b"".join(struct.pack("<HHI", *one) for one in entries)
