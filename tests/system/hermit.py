"""A daemon that has the host's own paths (/run/maestro, /var/lib, /tmp …) to itself, in a mount namespace of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.system.harness import REPOSITORY, Daemon, adopt_orphans, bury

_OWN = ("run", "tmp", "var/lib", "var/log", "var/cache")
_SCRIPT = """
set -e
cd /
mount --bind "$REPOSITORY" "$OWN/checkout"
for place in $PLACES; do mount --bind "$OWN/$place" "/$place"; done
[ -e "$REPOSITORY/daemon" ] || { mkdir -p "$REPOSITORY"; mount --bind "$OWN/checkout" "$REPOSITORY"; }
if [ -e /etc/maestro ]; then mount --bind "$OWN/empty" /etc/maestro; fi
unset MAESTRO_ROOT REPOSITORY OWN PLACES TMPDIR TEMP TMP
export HOME=/root USER=root MAESTRO_VENDOR_UNITS=/nowhere
[ -z "$PATH_INSIDE" ] || export PATH="$PATH_INSIDE"
unset PATH_INSIDE
exec "$@"
"""


def why_not() -> str:
    """Why there can be none here, or an empty string."""
    if os.geteuid() != 0:
        return "only root has a mount namespace without a user namespace"
    tried = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return "" if tried.returncode == 0 else f"no mount namespace here: {tried.stderr.strip()}"


class Hermit(Daemon):
    """What the daemon sees at /run is `root / "run"` to us; so with the others in `_OWN`."""

    def __init__(self, root: Path, environ: dict[str, str] | None = None, path: str = "") -> None:
        inside = {
            "REPOSITORY": str(REPOSITORY),
            "OWN": str(root),
            "PLACES": " ".join(_OWN),
            "PATH_INSIDE": path,
        }
        super().__init__(root, {**(environ or {}), **inside})
        for place in (*_OWN, "checkout", "empty", "run/maestro/units"):
            (root / place).mkdir(parents=True, exist_ok=True)
        (root / "tmp").chmod(0o1777)
        self.units = root / "run/maestro/units"
        unshare = str(shutil.which("unshare"))
        self.prefix = (unshare, "--mount", "--propagation", "private", "/bin/sh", "-c", _SCRIPT, "sh")

    def agents_of_this_root(self) -> list[int]:
        """Whoever sees this root's folders at the host's paths: the names of sockets would not tell them from the host's own."""
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit() and int(entry) != self.keeper:
                with contextlib.suppress(OSError):
                    if f" {self.root}/run /run " in Path(f"/proc/{entry}/mountinfo").read_text():
                        found.append(int(entry))
        return found


@contextlib.contextmanager
def hermit(environ: dict[str, str] | None = None, path: str = "") -> Iterator[Hermit]:
    root = Path(tempfile.mkdtemp(prefix="maestro-", dir="/var/tmp"))
    root.chmod(0o755)
    daemon = Hermit(root, environ, path)
    adopt_orphans(True)
    try:
        yield daemon
    finally:
        daemon.clean()
        bury(besides=daemon.process)
        adopt_orphans(False)
        shutil.rmtree(root, ignore_errors=True)
