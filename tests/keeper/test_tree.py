"""Whose process is whose, on a /proc made by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro.keeper.proc import Proc
from maestro.keeper.table import Entry, Table
from maestro.keeper.tree import Tree

KEEPER = 10


class FakeProc:
    """A directory with what the keeper reads of /proc."""

    def __init__(self, root: Path, *, has_children: bool) -> None:
        self.root = root
        self.has_children = has_children
        if has_children:
            (root / "thread-self").mkdir()
            (root / "thread-self/children").touch()

    def add(
        self, pid: int, parent: int, session: int = 0, start: int = 0, invocation: str = "", state: str = "S"
    ) -> None:
        here = self.root / str(pid)
        (here / "task" / str(pid)).mkdir(parents=True, exist_ok=True)
        fields = [state, parent, pid, session or pid, *[0] * 15, start or pid * 100, *[1] * 30]
        (here / "stat").write_text(f"{pid} (a (bad) name) {' '.join(map(str, fields))}\n")
        (here / "environ").write_bytes(f"A=1\0INVOCATION_ID={invocation}\0B=2\0".encode())
        if self.has_children:
            (here / "task" / str(pid) / "children").touch()
            mine = self.root / str(parent) / "task" / str(parent) / "children"
            if mine.exists():
                mine.write_text(mine.read_text() + f"{pid} ")

    def remove(self, pid: int, parent: int) -> None:
        for file in ("stat", "environ"):
            (self.root / str(pid) / file).unlink()
        mine = self.root / str(parent) / "task" / str(parent) / "children"
        if mine.exists():
            mine.write_text(mine.read_text().replace(f"{pid} ", ""))


@pytest.fixture(params=[True, False], ids=["children", "scan"])
def fake(request: pytest.FixtureRequest, tmp_path: Path) -> FakeProc:
    """On kernels with and without /proc/PID/task/TID/children."""
    one = FakeProc(tmp_path, has_children=request.param)
    one.add(KEEPER, 1)
    return one


@pytest.fixture
def table() -> Table:
    table = Table("k")
    for agent, pid in (("a#1", 100), ("b#1", 200)):
        table.add(Entry(agent, pid, pid * 100, f"run-{agent}"))
    return table


def tree(fake: FakeProc, table: Table) -> Tree:
    return Tree(Proc(str(fake.root)), table, KEEPER)


def pids(tree: Tree, table: Table, agent: str) -> list[int]:
    return [process.pid for process in tree.members(table.entries[agent])]


def test_descendants_are_members_main_first(fake: FakeProc, table: Table) -> None:
    fake.add(100, KEEPER)
    fake.add(200, KEEPER)
    fake.add(101, 100)
    fake.add(102, 101)
    fake.add(103, 100, state="Z")
    one = tree(fake, table)
    one.refresh()
    assert pids(one, table, "a#1") == [100, 101, 102]
    assert pids(one, table, "b#1") == [200]


def test_an_orphan_is_known_by_its_session_or_its_environment(fake: FakeProc, table: Table) -> None:
    fake.add(100, KEEPER)
    fake.add(200, KEEPER)
    fake.add(110, KEEPER, session=100)
    fake.add(111, 110)
    fake.add(120, KEEPER, invocation="run-b#1")
    fake.add(130, KEEPER, invocation="run-of-nobody")
    fake.add(140, KEEPER)
    one = tree(fake, table)
    one.refresh()
    assert pids(one, table, "a#1") == [100, 110, 111]
    assert pids(one, table, "b#1") == [200, 120]


def test_what_was_seen_as_a_descendant_is_known_as_an_orphan(fake: FakeProc, table: Table) -> None:
    fake.add(100, KEEPER)
    fake.add(101, 100, session=101, invocation="run-b#1")  # which it may have written itself
    one = tree(fake, table)
    one.refresh()
    pids(one, table, "a#1")
    fake.remove(100, KEEPER)
    fake.add(101, KEEPER, session=101, invocation="run-b#1")
    table.end(table.entries["a#1"], (0, None, 0.0, 0, 0.0))
    one.refresh()
    assert [p.pid for p in one.orphans(table.entries["a#1"])] == [101]
    assert one.orphans(table.entries["b#1"]) == []


def test_a_pid_that_was_given_away_again_is_another_process(fake: FakeProc, table: Table) -> None:
    fake.add(100, KEEPER)
    fake.add(101, 100, session=101, start=1)
    one = tree(fake, table)
    one.refresh()
    pids(one, table, "a#1")
    fake.add(101, KEEPER, session=101, start=2)
    one.refresh()
    assert one.orphans(table.entries["a#1"]) == []


def test_a_reaped_orphan_is_forgotten(fake: FakeProc, table: Table) -> None:
    fake.add(110, KEEPER, session=100)
    one = tree(fake, table)
    one.refresh()
    assert [p.pid for p in one.orphans(table.entries["a#1"])] == [110]
    fake.remove(110, KEEPER)
    one.reaped(110)
    fake.add(110, KEEPER, session=200)
    one.refresh()
    assert one.orphans(table.entries["a#1"]) == []
    assert [p.pid for p in one.orphans(table.entries["b#1"])] == [110]


def test_the_oldest_session_leader_of_an_invocation_is_found(fake: FakeProc, table: Table) -> None:
    fake.add(300, 1, session=299, start=1, invocation="x")
    fake.add(301, 1, start=3, invocation="x")
    fake.add(302, 1, start=2, invocation="x")
    fake.add(303, 1, start=1, invocation="y")
    found = tree(fake, table).find("x")
    assert found is not None
    assert found.pid == 302
    assert tree(fake, table).find("z") is None


def test_an_adopted_agents_processes_are_found_wherever_they_are(fake: FakeProc, table: Table) -> None:
    entry = Entry("c#1", 300, 30000, "run-c")
    entry.adopted = True
    table.add(entry)
    fake.add(300, 1)
    fake.add(301, 300)
    fake.add(302, 1, session=300)
    fake.add(303, 1, invocation="run-c")
    fake.add(304, 1)
    one = tree(fake, table)
    assert sorted(pids(one, table, "c#1")) == [300, 301, 302, 303]
    table.end(entry, (None, None, 0.0, 0, 0.0))
    fake.add(300, 1, start=99999)  # another process by now, and its session another's
    assert [p.pid for p in tree(fake, table).orphans(entry)] == [303]


def test_an_orphan_that_wrote_over_its_environment_is_known_by_its_output(
    fake: FakeProc, table: Table, tmp_path: Path
) -> None:
    """As nginx does that puts itself into the background: its session is its own, and its title lies over its environment."""
    pipe, _ = table.stream("a")
    table.add(Entry("a#1/pre0", 300, 30000, ""))
    fake.add(150, KEEPER)
    (fake.root / "150/fd").mkdir()
    (fake.root / "150/fd/2").symlink_to(f"/proc/self/fd/{pipe}")
    whole = tree(fake, table)
    whole.refresh()
    assert [one.pid for one in whole.orphans(table.entries["a#1"])] == [150]
    table.release_stream("a")


def test_what_an_adopted_agent_left_is_known_by_its_output_too(fake: FakeProc, table: Table) -> None:
    """Its workers are not our children, and may have written over their environment."""
    pipe, _ = table.stream("c")
    entry = Entry("c#1", 400, 40000, "run-c")
    entry.adopted = True
    table.add(entry)
    fake.add(400, 1)
    fake.add(450, 1)
    (fake.root / "450/fd").mkdir()
    (fake.root / "450/fd/1").symlink_to(f"/proc/self/fd/{pipe}")
    assert pids(tree(fake, table), table, "c#1") == [400, 450]
    table.release_stream("c")
