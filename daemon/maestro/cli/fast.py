"""Run maestroctl straight from a checkout:

`python -I -S fast.py …`. Finds the packages itself, as `site` costs 4 ms.
"""

from __future__ import annotations

import gc
import os
import sys


def begin() -> int:
    here = os.path.abspath(__file__)
    daemon = here[: -len("/maestro/cli/fast.py")]
    sys.path[:0] = [daemon, os.path.join(os.path.dirname(daemon), "plugins")]
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    home = os.path.dirname(os.path.dirname(os.path.abspath(sys.executable)))
    sys.path.append(os.path.join(home, "lib", version, "site-packages"))
    try:
        import msgpack  # noqa: F401
    except ImportError:  # not a virtual environment of the usual shape: let `site` look
        import site

        site.main()
    from maestro.cli.entry import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    gc.disable()  # over before it would pay
    code = begin()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # taking the interpreter apart would cost 2 ms
