"""The record of who is who, for the keeper that comes after one that was killed."""

from __future__ import annotations

import os
from pathlib import Path

from maestro.keeper import record
from maestro.keeper.proc import Proc
from maestro.keeper.table import Entry, Table


def myself() -> tuple[int, int]:
    process = Proc().look(os.getpid())
    assert process is not None
    return process.pid, process.start


def noted(folder: Path, *agents: str, earlier: dict[str, tuple[int, int]] | None = None) -> record.Record:
    table = Table("k")
    one = record.Record(str(folder), table)
    one.earlier = earlier or {}
    for agent in agents:
        entry = Entry(agent, *myself(), "")
        table.add(entry)
        one.note(entry)
    return one


def loaded(folder: Path) -> dict[str, tuple[int, int]]:
    return record.load(str(folder), Proc())


def test_what_one_keeper_notes_the_next_one_finds(folder: Path) -> None:
    assert loaded(folder) == {}
    noted(folder, "a#1", "b b#2", earlier={"c#3": myself()})
    assert loaded(folder) == {"a#1": myself(), "b b#2": myself(), "c#3": myself()}
    one = record.Record(str(folder), Table("k"))
    one.earlier = loaded(folder)
    found = one.find("b b#2", Proc())
    assert found is not None
    assert found.pid == os.getpid()
    assert one.find("d#4", Proc()) is None


def test_a_number_that_is_anothers_by_now_and_a_boot_before_this_one_count_for_nothing(folder: Path) -> None:
    pid, start = myself()
    noted(folder, "a#1", earlier={"c#3": (pid, start - 1), "d#4": (2**22 + 1, 5)})
    assert loaded(folder) == {"a#1": (pid, start)}
    path = folder / "keeper.agents"
    path.write_text("another boot\n" + path.read_text().split("\n", 1)[1])
    assert loaded(folder) == {}
    path.write_bytes(b"\xff\x00 no such thing\n1\n\n")
    assert loaded(folder) == {}


def test_the_file_does_not_grow_for_ever_and_comes_back_when_deleted(folder: Path) -> None:
    path, table = folder / "keeper.agents", Table("k")
    one = record.Record(str(folder), table)
    for number in range(3000):
        entry = Entry(f"a#{number}", *myself(), "")
        table.add(entry)
        one.note(entry)
        table.drop(entry)
    assert path.read_text().count("\n") < 1100
    table.add(Entry("b#1", *myself(), ""))
    one.see_to()
    assert "b#1" not in loaded(folder)
    path.unlink()
    one.see_to()
    assert loaded(folder) == {"b#1": myself()}


def test_where_nothing_can_be_written_agents_are_started_all_the_same(folder: Path) -> None:
    one = noted(folder / "nowhere", "a#1")
    one.see_to()
    assert loaded(folder / "nowhere") == {}
