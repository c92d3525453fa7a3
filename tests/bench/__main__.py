"""`bin/bench`: one life of each supervisor for each run, every measure taken of it in turn."""

from __future__ import annotations

import argparse
import compileall
import contextlib
import json
import resource
import shutil
import sys
import tempfile
from pathlib import Path

from tests.bench import tools
from tests.bench.figures import Figure, Results
from tests.bench.life import Life, Options
from tests.bench.measures import MEASURES
from tests.bench.measures.measure import Measure
from tests.bench.subjects import SUBJECTS
from tests.bench.tools import Broken, Unable


def main() -> int:
    given = _arguments()
    measures = [one for one in MEASURES if one.needed or not given.names or one.name in given.names]
    figures = [figure for one in measures for figure in one.figures]
    subjects = [one for one in SUBJECTS if not given.subjects or one.name in given.subjects]
    options = Options(idle_seconds=given.idle, kills=given.kills, log_bytes=given.log_mb << 20)
    tools.adopt_orphans()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for package in ("daemon", "plugins"):  # as an installed one would be
        compileall.compile_dir(tools.REPOSITORY / package, quiet=2)
    print(f"{tools.machine()}; {given.agents} agents, {given.runs} runs", flush=True)
    results = Results()
    subjects = [one for one in subjects if _can(one, results)]
    broken = False
    for run in range(given.runs):
        for subject in subjects:
            tools.say(f"run {run + 1} of {given.runs}: {subject.name}")
            broken |= not _live(subject, run, given.agents, options, measures, results)
    print(results.table(figures))
    for what, why in results.skipped.items():
        print(f"skipped: {what}: {why}")
    if given.json:
        _write(given.json, given.agents, results, figures)
    return 1 if broken else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"measures: {', '.join(one.name for one in MEASURES)}"
    )
    parser.add_argument(
        "--agents", type=int, default=1000, help="how many are supervised (default: %(default)s)"
    )
    parser.add_argument("--runs", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument(
        "--idle", type=float, default=20.0, metavar="SECONDS", help="to watch (default: %(default)s)"
    )
    parser.add_argument("--kills", type=int, default=50, help="(default: %(default)s)")
    parser.add_argument("--log-mb", type=int, default=512, help="written by one agent (default: %(default)s)")
    parser.add_argument(
        "--subject",
        action="append",
        dest="subjects",
        help=f"only these: {', '.join(one.name for one in SUBJECTS)}",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all values there")
    given = parser.parse_args()
    unknown = {*given.names} - {one.name for one in MEASURES}
    unknown |= {*(given.subjects or ())} - {one.name for one in SUBJECTS}
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    return given


def _can(subject: type[Life], results: Results) -> bool:
    try:
        subject.prepare()
    except Unable as why:
        results.skipped[subject.name] = str(why)
        return False
    return True


def _live(
    subject: type[Life], run: int, count: int, options: Options, measures: list[Measure], results: Results
) -> bool:
    """One life of one supervisor; false when it broke."""
    folder = Path(tempfile.mkdtemp(prefix="maestro-bench-"))
    folder.chmod(0o755)
    try:
        with subject(folder, count, options) as life:
            for measure in measures:
                with contextlib.suppress(Unable):
                    results.note(run, subject.name, measure.take(life))
    except (Broken, OSError) as why:
        tools.say(f"{subject.name}: broken: {why}")
        results.skipped[f"{subject.name}, run {run + 1}"] = f"broken: {why}"
        return False
    finally:
        left = tools.sweep()
        if left:
            tools.say(f"{subject.name} left {left} processes; killed")
        shutil.rmtree(folder, ignore_errors=True)
    return True


def _write(path: Path, count: int, results: Results, figures: list[Figure]) -> None:
    body = {
        "machine": tools.machine(),
        "agents": count,
        "figures": results.plain(figures),
        "skipped": results.skipped,
    }
    path.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    sys.exit(main())
