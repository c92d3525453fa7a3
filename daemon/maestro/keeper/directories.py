"""An agent's own directories, made by its child while that is still root. No symbolic link is ever followed below a base directory.

An agent may write in its directories, so whatever stands there may be its trap: each step on the way goes by a
descriptor of the directory before. Imported only by children whose recipes have directories.
"""

from __future__ import annotations

import errno
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.keeper.child import Birth

PRIVATE = "private"  # below it lie the directories of dynamic users; only root gets in
_ENTER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_PARENT = 0o755
_KEPT = "configuration directory"  # the administrator's: one that is there is left as it is


def make(birth: Birth) -> None:
    """Every directory of the recipe, and then the links: what they lead to, or lie in, may be another's."""
    given = birth.recipe.get("directories", ())
    for one in given:
        birth.doing = f"its {one[0]} {one[1]}/{one[2]}"
        _from(birth, one, _make, is_in_private(one, one[2], given))
    for one in given:
        for link in one[7]:
            birth.doing = f"the link {one[1]}/{link} to its {one[0]}"
            _from(birth, one, _make_link, link, is_in_private(one, link, given))


def is_in_private(one: tuple[Any, ...], name: str, given: tuple[tuple[Any, ...], ...]) -> bool:
    """Whether it is below another private directory that the recipe has, and gets there with that one's link."""
    return any(
        other[6] and other[1] == one[1] and name.startswith(f"{other[2]}/") for other in given if one[6]
    )


def _from(birth: Birth, one: tuple[Any, ...], step: Any, *words: Any) -> None:
    parent = _open_base(one[1])
    try:
        step(parent, one, *words)
    except NotADirectoryError as error:
        birth.doing += (
            " (a symbolic link on the way to it is not followed)" if _has_link(parent, one[2]) else ""
        )
        raise error
    except OSError as error:
        if error.errno == errno.ENOTEMPTY:
            birth.doing += " (a directory of that name is there, and what is in it is not its own)"
        raise
    finally:
        os.close(parent)


def _make_link(base: int, one: tuple[Any, ...], link: str, inside: bool) -> None:
    _link(base, f"{PRIVATE}/{link}" if inside else link, _to(link, one[2]))


def _make(base: int, one: tuple[Any, ...], inside: bool) -> None:
    what, _, name, mode, uid, gid, private, _ = one
    owner, kept = (uid, gid), what == _KEPT
    above = [PRIVATE] if private else []
    if private:
        _lock(base)
        if not inside:
            _move(base, name, f"{PRIVATE}/{name}")
    else:
        _move_back(base, name)
    parent = _walk(base, [*above, *name.split("/")[:-1]])
    try:
        fd, fresh = _step(parent, name.rpartition("/")[2], mode)
    finally:
        os.close(parent)
    try:
        if fresh or not kept:
            _own(fd, owner)
            os.fchmod(fd, mode)  # the owner may have changed it; and a change of owner may take bits away
    finally:
        os.close(fd)
    if private and not inside:
        _give_way(base, name)
        _link(base, name, _to(name, f"{PRIVATE}/{name}"))


def _lock(base: int) -> None:
    """The directory that no user but root gets past."""
    fd, _ = _step(base, PRIVATE, 0o700)
    try:
        os.fchown(fd, 0, 0)
        os.fchmod(fd, 0o700)
    finally:
        os.close(fd)


def _open_base(path: str) -> int:
    """A base directory: where it is, and what leads to it, is the administrator's affair, links and all."""
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path) or "/"
    for one in reversed(missing):
        try:
            os.mkdir(one)
            os.chmod(one, _PARENT)
        except FileExistsError:
            pass  # made by somebody else meanwhile
    return os.open(missing[0] if missing else path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _walk(base: int, names: list[str]) -> int:
    fd = os.dup(base)
    for name in names:
        above = fd
        try:
            fd, _ = _step(above, name, _PARENT)
        finally:
            os.close(above)
    return fd


def _step(parent: int, name: str, mode: int) -> tuple[int, bool]:
    """Into a directory, which is made if it is not there; says whether it was."""
    try:
        os.mkdir(name, 0o700, dir_fd=parent)
    except FileExistsError:
        return os.open(name, _ENTER, dir_fd=parent), False
    fd = os.open(name, _ENTER, dir_fd=parent)
    os.fchmod(fd, mode)  # whatever the mask
    return fd, True


# ------------------------------------------------------------------------------------------- owners


def _own(fd: int, owner: tuple[Any, Any]) -> None:
    """Where the owner of the directory is another, all in it changes hands, itself at the very end: so it can be done again."""
    uid, gid = owner
    found = os.fstat(fd)
    if uid is None or (found.st_uid, found.st_gid) == (uid, gid):
        return
    _own_all(fd, found, uid, gid)
    os.fchown(fd, uid, gid)


def _own_all(fd: int, top: os.stat_result, uid: int, gid: int) -> None:
    for name in os.listdir(fd):
        try:
            inner = os.open(name, _LOOK, dir_fd=fd)
        except FileNotFoundError:
            continue
        try:
            seen = os.fstat(inner)
            if seen.st_dev != top.st_dev:
                continue  # something is mounted there: it is not part of it
            if stat.S_ISDIR(seen.st_mode):
                below = os.open(name, _ENTER, dir_fd=fd)
                try:
                    _own_all(below, top, uid, gid)
                    os.fchown(below, uid, gid)
                finally:
                    os.close(below)
            elif stat.S_ISLNK(seen.st_mode):
                os.chown(name, uid, gid, dir_fd=fd, follow_symlinks=False)
            elif seen.st_nlink == 1 or seen.st_uid == top.st_uid:
                # A second name of somebody else's file would make that file the agent's.
                os.chown(f"/proc/self/fd/{inner}", uid, gid)
        finally:
            os.close(inner)


# ------------------------------------------------------------------------------------------- links


def _to(link: str, target: str) -> str:
    """What a link holds to lead to a place beside the base of both."""
    return "../" * link.count("/") + target


def _link(base: int, name: str, target: str) -> None:
    *above, last = name.split("/")
    parent = _walk(base, above)
    try:
        os.symlink(target, last, dir_fd=parent)
    except FileExistsError:
        if _target(parent, last) != target:
            raise
    finally:
        os.close(parent)


def _give_way(base: int, name: str) -> None:
    """Where directories below this one were private already, what held our links to them gives way to a link of its own."""
    *above, last = name.split("/")
    parent = _walk(base, above)
    try:
        fd = os.open(last, _ENTER, dir_fd=parent)
    except OSError as error:
        os.close(parent)
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return  # nothing, or the link
        raise
    try:
        _unlink_ours(fd, name, only_look=True)  # all of it, or nothing
        _unlink_ours(fd, name)
        os.rmdir(last, dir_fd=parent)
    finally:
        os.close(fd)
        os.close(parent)


def _unlink_ours(fd: int, name: str, *, only_look: bool = False) -> None:
    for one in os.listdir(fd):
        inner = f"{name}/{one}"
        if stat.S_ISDIR(os.stat(one, dir_fd=fd, follow_symlinks=False).st_mode):
            below = os.open(one, _ENTER, dir_fd=fd)
            try:
                _unlink_ours(below, inner, only_look=only_look)
            finally:
                os.close(below)
            if not only_look:
                os.rmdir(one, dir_fd=fd)
        elif _target(fd, one) != _to(inner, f"{PRIVATE}/{inner}"):
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))
        elif not only_look:
            os.unlink(one, dir_fd=fd)


def _target(parent: int, name: str) -> str | None:
    """What a link holds; None where there is none of this name."""
    try:
        return os.readlink(name, dir_fd=parent)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT, errno.ENOTDIR):
            return None
        raise


def _move(base: int, name: str, to: str) -> None:
    """What was made before its user became a dynamic one moves with it; what it finds there already stays."""
    *above, last = name.split("/")
    source = _walk(base, above)
    target = _walk(base, to.split("/")[:-1])
    try:
        if stat.S_ISDIR(os.stat(last, dir_fd=source, follow_symlinks=False).st_mode) and not _is_there(
            target, last
        ):
            os.rename(last, last, src_dir_fd=source, dst_dir_fd=target)
    except FileNotFoundError:
        pass
    finally:
        os.close(source)
        os.close(target)


def _move_back(base: int, name: str) -> None:
    """It had a dynamic user before: our own link gives way to what it leads to."""
    *above, last = name.split("/")
    try:
        private = os.open(PRIVATE, _ENTER, dir_fd=base)
    except OSError:
        return
    os.close(private)
    parent = _walk(base, above)
    try:
        if _target(parent, last) == _to(name, f"{PRIVATE}/{name}"):
            source = _walk(base, [PRIVATE, *above])
            try:
                os.unlink(last, dir_fd=parent)
                os.rename(last, last, src_dir_fd=source, dst_dir_fd=parent)
            except FileNotFoundError:
                pass
            finally:
                os.close(source)
    finally:
        os.close(parent)


def _is_there(parent: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _has_link(base: int, name: str) -> bool:
    """Whether a part of it is a link, for a message."""
    path = f"/proc/self/fd/{base}"
    for part in name.split("/"):
        path += f"/{part}"
        if os.path.islink(path):
            return True
    return False
