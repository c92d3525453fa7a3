"""Which tests run in the virtual machine, and in which kind of it. To add some, add a row.

What belongs here asks the kernel for something that ordinary machines answer differently: control groups, capabilities, systemd. One
processor and slow forks make everything else a waste of time; `bin/test --vm tests/system` runs it all the same.
Of a file that takes minutes, rows may name single tests: those that stand for the rest.
"""

from __future__ import annotations

BARE = "bare"  # a tiny PID 1, as root, with all capabilities: the keeper protects itself, and forks
USER = "user"  # the same, as an ordinary user: it cannot, and starts what it can by posix_spawn
SYSTEMD = "systemd"  # systemd is PID 1, as root

GUESTS = (BARE, USER, SYSTEMD)

SELECTION: dict[str, tuple[str, ...]] = {
    "tests/keeper/test_quick.py": (BARE, USER),
    "tests/system/test_admission.py": (BARE,),
    "tests/system/test_budgets.py::test_a_slice_is_used_up_by_all_in_it_together": (BARE,),
    "tests/system/test_credentials.py": (BARE,),
    "tests/system/test_disk_limits.py": (BARE,),
    "tests/system/test_emergency.py": (BARE,),
    "tests/system/test_escapes.py": (BARE,),
    "tests/system/test_freezing.py": (BARE, USER),
    "tests/system/test_gateways.py": (BARE,),
    "tests/system/test_guest.py": (BARE, USER, SYSTEMD),
    "tests/system/test_hogs.py": (BARE,),
    "tests/system/test_identity.py": (BARE,),
    "tests/system/test_layout.py": (BARE,),
    "tests/system/test_memory_limits.py": (BARE,),
    "tests/system/test_oom.py": (BARE,),
    "tests/system/test_pressure.py": (BARE,),
    "tests/system/test_resources.py": (BARE, SYSTEMD),
    "tests/system/test_sandbox.py::test_baseline_is_what_it_says": (BARE,),
    "tests/system/test_sandbox.py::test_nobody_escapes_from_strict": (BARE,),
    "tests/system/test_sandbox.py::test_nothing_outlives_the_first_process": (BARE,),
    "tests/system/test_sandbox.py::test_strict_is_what_it_says": (BARE,),
    "tests/system/test_slices.py": (BARE, SYSTEMD),
    "tests/system/test_smoke.py": (BARE, USER, SYSTEMD),
    "tests/system/test_tenants.py": (BARE,),
    "tests/vm/test_on_systemd.py": (SYSTEMD,),
}


def tests_for(guest: str) -> list[str]:
    return [path for path, guests in SELECTION.items() if guest in guests]
