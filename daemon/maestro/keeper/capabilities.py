"""What a child may do of what root may do."""

from __future__ import annotations

import ctypes
import errno
import os

from maestro.keeper import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

SYS_ADMIN = 21
PR_SET_KEEPCAPS = 8
PR_CAPBSET_READ, PR_CAPBSET_DROP = 23, 24
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT, RAISE = 47, 2
_VERSION_3 = 0x20080522
_MOST = 64  # capabilities that the kernel's words have room for


def bound(kept: Iterable[int]) -> None:
    """Give up for ever, for us and our children, all but these."""
    for number in range(_MOST):
        if number in kept:
            continue
        try:
            kernel.prctl(PR_CAPBSET_DROP, number)
        except OSError as error:
            if error.errno == errno.EINVAL:  # the kernel knows no more
                return
            if has(number):
                raise


def has(number: int) -> bool:
    try:
        return bool(kernel.prctl(PR_CAPBSET_READ, number))
    except OSError:
        return False


def known() -> list[int]:
    """Those that this kernel has."""
    found = []
    for number in range(_MOST):
        try:
            kernel.prctl(PR_CAPBSET_READ, number)
        except OSError:
            break
        found.append(number)
    return found


def keep_over_change_of_user() -> None:
    kernel.prctl(PR_SET_KEEPCAPS, 1)


def use(number: int) -> None:
    """Have this one in force, and no others, of those that were kept over a change of user."""
    _have(1 << number, 0)


def raise_ambient(numbers: Iterable[int]) -> None:
    """Have these, and no others, also when a program is executed that is not privileged."""
    mask = sum(1 << number for number in numbers)
    _have(mask, mask)
    for number in numbers:
        kernel.prctl(PR_CAP_AMBIENT, RAISE, number)


def _have(mask: int, inheritable: int) -> None:
    if kernel.libc.capset(*words(mask, inheritable)) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def words(mask: int, inheritable: int) -> tuple[ctypes.Array[ctypes.c_uint32], ctypes.Array[ctypes.c_uint32]]:
    """What capset(2) takes to have those of `mask`, and no others."""
    low, high = mask & 0xFFFFFFFF, mask >> 32
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    below, above = inheritable & 0xFFFFFFFF, inheritable >> 32
    return header, (ctypes.c_uint32 * 6)(low, low, below, high, high, above)


def gain_no_more() -> None:
    """Set-uid programs and capabilities of files give nothing from now on."""
    kernel.prctl(PR_SET_NO_NEW_PRIVS, 1)
