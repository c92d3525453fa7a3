"""Filters of system calls, loaded by a process into itself: the last step before its exec."""

from __future__ import annotations

import ctypes
import mmap
import os

from maestro.keeper import kernel

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1
SET_MODE_FILTER, LOG = 1, 2  # of seccomp(2): the operation, the flag
_SECCOMP = {"x86_64": 317, "aarch64": 277, "riscv64": 277}
INSTRUCTION = 8  # bytes


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def seen(slate: int) -> mmap.mmap:
    """Memory that is shared with the keeper: to write there is no system call, so no filter can refuse it."""
    return mmap.mmap(slate, 0)


def load(programs: tuple[bytes, ...], log: bool = False, deny_write_execute: bool = False) -> None:
    """Bind this process and all that comes of it. `log`: the kernel notes in its audit log what is refused.

    The programs come in an order in which none refuses the loading of the next. After the last there is only the exec,
    which every list of what is allowed has in it: what a filter refuses of that, fails the start.
    """
    ready = [_Program(len(program) // INSTRUCTION, program) for program in programs]
    if deny_write_execute:
        kernel.call("prctl", PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0)
    flags = LOG if log else 0
    for program in ready:
        try:
            _load(program, flags)
        except PermissionError:
            kernel.give_up_privileges()
            _load(program, flags)


def _load(program: _Program, flags: int) -> None:
    number = _SECCOMP.get(os.uname().machine)
    if number is None:  # the older way, which knows no flags
        kernel.call("prctl", _PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0)
    else:
        kernel.call("syscall", number, SET_MODE_FILTER, flags, ctypes.byref(program))
