"""All units of systemd that are installed on this machine."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from maestro.imports import systemd
from maestro.imports.formats import Source, converted
from maestro.imports.systemd_reader import logical_lines
from tests.imports.looks import problems

FOLDERS = ("/usr/lib/systemd/system", "/lib/systemd/system")
ENDINGS = {f".{kind}" for kind in systemd.KINDS}


def _files() -> dict[str, Path]:
    """By name: the two directories are one on most hosts."""
    found = (path for folder in FOLDERS if Path(folder).is_dir() for path in sorted(Path(folder).iterdir()))
    return {path.name: path for path in found if path.suffix in ENDINGS and path.is_file()}


def test_all_units_of_this_machine() -> None:
    files = _files()
    if not files:
        pytest.skip("no units of systemd are installed here")
    sources = [Source(str(path), path.read_bytes()) for path in files.values()]
    found = converted(sources)
    told: dict[str, Counter[int]] = {}
    for one in found:
        for remark in one.remarks:
            assert remark.words
            told.setdefault(remark.file, Counter())[remark.line] += bool(remark.line)
    for source in sources:
        said = Counter(line for line, _ in logical_lines(source.content.decode("utf-8", "replace")))
        assert +told.get(source.path, Counter()) == said, source.path
    assert [problem for one in found if one.text for problem in problems(one)] == []


def test_most_of_what_they_say_is_kept() -> None:
    files = {name: path for name, path in _files().items() if path.suffix == ".service"}
    if not files:
        pytest.skip("no services of systemd are installed here")
    found = converted([Source(str(path), path.read_bytes()) for path in files.values()])
    grades = Counter(remark.grade for one in found for remark in one.remarks)
    print(", ".join(f"{grade}: {count}" for grade, count in grades.most_common()))
    assert grades["exact"] + grades["approximated"] > 3 * grades["dropped"]
