"""Who had which unit files read when: each reading that finds something else is a generation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from maestro.manager import configuration, tasks
from maestro.manager.configuration import Configuration, Generation, pieces
from maestro.ports import Saved
from maestro.testing.fakes import FakeFiles
from maestro.testing.loop import play
from tests.manager.rig import Rig

GOOD = "agent: {exec: /bin/true}\n"


class Scene(Rig):
    def __init__(self, files: FakeFiles) -> None:
        super().__init__(files=files)
        self.files = files
        self.configuration = Configuration(self.manager, self.catalogue, self.store, self.carrier.reread)

    async def begin(self, saved: Saved | None = None) -> None:
        self.catalogue.load(self.manager.world, {})
        await self.configuration.take_up((saved or Saved()).generation)

    async def newest(self) -> Generation:
        [(number, found)] = await self.configuration.generations(1)
        assert number == self.configuration.number
        return found


@asynccontextmanager
async def scene(**texts: str) -> AsyncIterator[Scene]:
    one = Scene(FakeFiles(**{f"{name}.agent.yaml": text for name, text in texts.items()}))
    committing = tasks.spawn(one.manager.run(), "committer")
    await one.begin()
    yield one
    committing.cancel()


def test_what_is_found_first_is_the_first() -> None:
    async def go() -> None:
        async with scene(web=GOOD, db=GOOD) as one:
            found = await one.newest()
            assert one.configuration.number == 1
            assert (found.author, found.reason, found.files) == ("maestrod", "the first", 2)
            assert found.added == ("/units/db.agent.yaml", "/units/web.agent.yaml")

    play(go())


def test_a_reading_that_finds_nothing_new_makes_none() -> None:
    async def go() -> None:
        async with scene(web=GOOD) as one:
            one.configuration.reread("uid 0", "daemon-reload")
            assert one.configuration.number == 1

    play(go())


def test_each_change_is_told_with_who_and_why() -> None:
    async def go() -> None:
        async with scene(web=GOOD, old=GOOD) as one:
            one.files.texts |= {"web.agent.yaml": GOOD + "unit: {description: x}\n", "new.agent.yaml": GOOD}
            one.files.texts["web.agent.yaml.d/a.yaml"] = "unit: {after: [new]}\n"
            del one.files.texts["old.agent.yaml"]
            one.files.links["default.target"] = ("web",)
            one.configuration.reread("uid 7", "more of it")
            found = await one.newest()
            assert (one.configuration.number, found.author, found.reason) == (2, "uid 7", "more of it")
            assert found.added == (
                "/units/new.agent.yaml",
                "/units/web.agent.yaml.d/a.yaml",
                "default.target.wants/web",
            )
            assert (found.changed, found.removed) == (("/units/web.agent.yaml",), ("/units/old.agent.yaml",))
            assert found.at == one.manager.clock.wall()

    play(go())


def test_what_was_in_the_files_is_kept_as_it_was() -> None:
    async def go() -> None:
        async with scene(web=GOOD) as one:
            first = one.catalogue.written
            one.files.texts["web.agent.yaml"] = "agent: {exec: /bin/false}\n"
            one.configuration.reread("uid 0", "")
            assert await one.configuration.sources(1) == first
            assert await one.configuration.sources(2) == one.catalogue.written
            assert await one.configuration.sources(3) is None

    play(go())


def test_a_new_manager_goes_on_with_the_number() -> None:
    async def go() -> None:
        async with scene(web=GOOD) as one:
            [(number, _)] = await one.configuration.generations(1)
            heads = dict(await one.store.generations(9))
            saved = Saved(generation=(number, heads[number]))
            again = Configuration(one.manager, one.catalogue, one.store, one.carrier.reread)
            await again.take_up(saved.generation)
            assert again.number == 1, "nothing has changed"
            one.files.texts["web.agent.yaml"] = GOOD + "unit: {description: x}\n"
            one.catalogue.load(one.manager.world, {})
            later = Configuration(one.manager, one.catalogue, one.store, one.carrier.reread)
            await later.take_up(saved.generation)
            assert later.number == 2
            [(_, found)] = await later.generations(1)
            assert (found.author, found.reason) == ("maestrod", "the files were changed meanwhile")
            assert (found.added, found.changed) == ((), ("/units/web.agent.yaml",))

    play(go())


def test_files_of_transient_units_are_nobodys_writing() -> None:
    async def go() -> None:
        async with scene(web=GOOD) as one:
            one.catalogue.make(one.manager.world, "job", GOOD)
            assert list(pieces(one.catalogue.written)) == ["/units/web.agent.yaml"]
            one.configuration.reread("uid 0", "daemon-reload")
            assert one.configuration.number == 1

    play(go())


def test_a_thousand_changes_are_counted_where_they_are_not_named() -> None:
    async def go() -> None:
        async with scene(web=GOOD) as one:
            one.files.texts |= {f"a{number}.agent.yaml": GOOD for number in range(150)}
            one.configuration.reread("uid 0", "")
            found = await one.newest()
            assert (len(found.added), found.unnamed) == (configuration._MOST_NAMED, 50)

    play(go())
