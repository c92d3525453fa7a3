"""What the desk shows of generations of the configuration."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from maestro.control import protocol as p
from maestro.control.configuring import GenerationDiff, GenerationFiles, Generations
from maestro.control.service import Refused
from maestro.manager import tasks
from maestro.testing.loop import play
from tests.control.office import GOOD, ROOT, Behind

MORE = GOOD + "unit: {description: x}\n"


@asynccontextmanager
async def behind(**texts: str) -> AsyncIterator[Behind]:
    one = Behind(**texts)
    committing = tasks.spawn(one.manager.run(), "committer")
    await one.desk._o.configuration.take_up((0, b""))
    yield one
    committing.cancel()


def test_each_generation_with_its_author_and_reason() -> None:
    async def go() -> None:
        async with behind(web=GOOD) as one:
            one.files.texts["web.agent.yaml"] = MORE
            await one.desk.daemon_reload(ROOT, p.DaemonReload(reason="it needs words"))
            _ = [view async for view in one.desk.link(ROOT, p.Enable(units=("web",)))]
            found = await one.desk.generations(ROOT, Generations())
            assert [(view.number, view.in_force, view.author) for view in found] == [
                (2, True, "uid 0"),
                (1, False, "maestrod"),
            ], "enabling has changed nothing: the unit says no place"
            assert (found[0].reason, found[0].changed) == ("it needs words", ("/units/web.agent.yaml",))

    play(go())


def test_what_was_in_the_files_is_shown_without_secrets() -> None:
    async def go() -> None:
        secret = "agent: {exec: /bin/true, set_credential: {a: hush}}\n"
        async with behind(web=secret) as one:
            [file] = await one.desk.generation_files(ROOT, GenerationFiles())
            assert file.path == "/units/web.agent.yaml"
            assert "hush" not in file.text
            assert await one.desk.generation_files(ROOT, GenerationFiles(number=1)) == (file,)
            one.files.texts["web.agent.yaml"] = secret.replace("hush", "sh")
            await one.desk.daemon_reload(ROOT, p.DaemonReload())
            [compared] = await one.desk.generation_diff(ROOT, GenerationDiff(before=1))
            assert (compared.change, compared.lines) == ("changed", ()), "a secret is another one"

    play(go())


def test_what_is_different_between_two() -> None:
    async def go() -> None:
        async with behind(web=GOOD, old=GOOD) as one:
            one.files.texts |= {"web.agent.yaml": MORE, "new.agent.yaml": GOOD}
            del one.files.texts["old.agent.yaml"]
            await one.desk.daemon_reload(ROOT, p.DaemonReload())
            found = await one.desk.generation_diff(ROOT, GenerationDiff(before=1, after=2))
            assert [(view.path, view.change, view.lines) for view in found] == [
                ("/units/new.agent.yaml", "added", ("@@ -0,0 +1 @@", f"+{GOOD.strip()}")),
                (
                    "/units/web.agent.yaml",
                    "changed",
                    ("@@ -1 +1,2 @@", f" {GOOD.strip()}", "+unit: {description: x}"),
                ),
                ("/units/old.agent.yaml", "removed", ("@@ -1 +0,0 @@", f"-{GOOD.strip()}")),
            ]
            assert await one.desk.generation_diff(ROOT, GenerationDiff(before=2)) == ()

    play(go())


def test_one_that_is_not_kept_is_refused_in_words() -> None:
    async def go() -> None:
        async with behind(web=GOOD) as one:
            with pytest.raises(Refused, match="no generation 7"):
                await one.desk.generation_files(ROOT, GenerationFiles(number=7))

    play(go())
