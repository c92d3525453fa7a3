"""What a filter answers, found by running its program as the kernel would."""

from __future__ import annotations

import ctypes
import struct
from functools import cache

AUDIT_X86_64, AUDIT_I386 = 0xC000003E, 0x40000003
KILL, ALLOW, LOG = "kill", "allow", "log"
_LOAD, _AND, _RETURN, _JUMP = 0x20, 0x54, 0x06, 0x05
_TESTS = {0x15: int.__eq__, 0x25: int.__gt__, 0x35: int.__ge__}
_ACTIONS = {0x80000000: KILL, 0x7FFF0000: ALLOW, 0x7FFC0000: LOG}


def answer(program: bytes, number: int, *arguments: int, machine: int = AUDIT_X86_64) -> str | int:
    """An action, or the error number that the call returns."""
    words = [argument & (1 << 64) - 1 for argument in (*arguments, 0, 0, 0, 0, 0, 0)[:6]]
    data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, machine, 0, *words)
    place = accumulator = 0
    while True:
        code, yes, no, constant = struct.unpack_from("<HBBI", program, place * 8)
        place += 1
        if code == _LOAD:
            (accumulator,) = struct.unpack_from("<I", data, constant)
        elif code == _AND:
            accumulator &= constant
        elif code == _JUMP:
            place += constant
        elif code == _RETURN:
            return constant & 0xFFFF if constant & 0xFFFF0000 == 0x00050000 else _ACTIONS[constant]
        else:
            place += yes if _TESTS[code](accumulator, constant) else no


@cache
def number_of(call: str) -> int:
    """Negative: not on this machine."""
    return int(ctypes.CDLL("libseccomp.so.2").seccomp_syscall_resolve_name(call.encode()))
