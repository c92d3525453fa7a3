"""Plugins behind their fences: what one does wrong harms nobody else, and is told."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import Struct

from maestro import hooks
from maestro.hooks import EndNotice, EventNotice, hook
from maestro.manager import plugins as fencing
from maestro.manager.entry_points import EntryPoint
from maestro.manager.plugins import Plugins
from tests.manager.rig import really, until

END = EndNotice(unit="web", command=("web",), code=1, signal=None, log=())


class Options(Struct, frozen=True, kw_only=True):
    keep: int = hooks.option(1, "How many.")


def notice(number: int = 1) -> EventNotice:
    return EventNotice(
        seq=number, time=0.0, unit="web", kind="ready", words="", state="active", agent="web#1"
    )


def module(**functions: Any) -> Any:
    """A plugin of these hooks."""
    return SimpleNamespace(**{name: hook(function) for name, function in functions.items()})


@pytest.fixture
def plugins() -> Iterator[Plugins]:
    one = Plugins("/nowhere")
    yield one
    one.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fencing, "_LONGEST_CALL", 0.05)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What a hanging hook waits for; opened at the end, so that no thread is left."""
    one = threading.Event()
    yield one
    one.set()


def tell(plugins: Plugins, number: int = 1) -> None:
    plugins.notice(lambda section: notice(number))


def test_the_three_kinds_of_hook(plugins: Plugins) -> None:
    heard: list[Any] = []
    plugins.add(
        "good",
        module(
            maestro_sections=lambda: {"good": Options},
            maestro_begin=lambda places: heard.append(places.state),
            maestro_event=lambda event: heard.append(event.seq),
            maestro_explain_end=lambda end: f"{end.unit} ended with {end.code}",
        ),
    )
    plugins.begin()
    tell(plugins, 4)
    assert really(plugins.first("maestro_explain_end", end=END)) == "web ended with 1"
    assert heard == ["/nowhere/plugins/good", 4]
    assert plugins.sections == {"good": Options}
    assert plugins.notices == ()


def test_a_notice_holds_the_section_of_its_plugin_only(plugins: Plugins) -> None:
    asked: list[str | None] = []
    one = module(
        maestro_sections=lambda: {"mine": Options},
        maestro_event=lambda event: None,
        maestro_explain_end=lambda end: None,
    )
    plugins.add("one", one)
    plugins.add("two", module(maestro_event=lambda event: None, maestro_explain_end=lambda end: None))
    plugins.notice(lambda section: asked.append(section) or notice())  # type: ignore[func-returns-value]
    really(plugins.first("maestro_explain_end", end=END))  # behind the notice
    assert sorted(map(str, asked)) == ["None", "mine"]


def test_a_notice_is_made_in_the_plugins_thread_and_costs_the_manager_no_future(
    plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []
    heard = threading.Event()
    plugins.add("one", module(maestro_event=lambda event: heard.set()))
    monkeypatch.setattr(fencing, "Future", None)

    def make(section: str | None) -> EventNotice:
        threads.append(threading.current_thread().name)
        return notice()

    plugins.notice(make)
    assert heard.wait(10)
    assert threads == ["plugin one"]


def test_the_events_of_a_thousand_starts_at_once_are_all_heard(
    plugins: Plugins, gate: threading.Event
) -> None:
    heard: list[int] = []

    def maestro_event(event: EventNotice) -> None:
        gate.wait()
        heard.append(event.seq)

    plugins.add("slow", module(maestro_event=maestro_event, maestro_explain_end=lambda end: "an answer"))
    for number in range(4000):  # each is starting, started, ready, and its job done
        tell(plugins, number)
    gate.set()
    really(plugins.first("maestro_explain_end", end=END))
    assert heard == list(range(4000))
    assert plugins.notices == ()


def test_a_hook_may_take_only_some_arguments(plugins: Plugins) -> None:
    plugins.add("short", module(maestro_explain_end=lambda: "who knows"))
    assert really(plugins.first("maestro_explain_end", end=END)) == "who knows"


def test_a_hook_that_raises_is_told_with_its_own_frames(
    plugins: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    def maestro_explain_end(end: EndNotice) -> str:
        raise ValueError("my own mistake")

    plugins.add("bad", module(maestro_explain_end=maestro_explain_end))
    plugins.add("good", module(maestro_explain_end=lambda end: "an answer"))
    assert really(plugins.first("maestro_explain_end", end=END)) == "an answer"
    assert "my own mistake" in caplog.text
    assert "raise ValueError" in caplog.text
    assert "in _work" not in caplog.text
    assert plugins.fences[0].faults == 1
    assert plugins.notices == ()


@pytest.mark.parametrize("what", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_a_hook_cannot_end_the_manager(plugins: Plugins, what: BaseException) -> None:
    def leave(**_: object) -> str:
        raise what

    plugins.add("bad", module(maestro_explain_end=lambda end: leave(), maestro_event=lambda event: leave()))
    tell(plugins)
    assert really(plugins.first("maestro_explain_end", end=END)) is None
    assert plugins.fences[0].faults == 2


def test_too_many_faults_set_a_plugin_aside(plugins: Plugins) -> None:
    calls: list[int] = []

    def maestro_event(event: EventNotice) -> None:
        calls.append(event.seq)
        raise RuntimeError("again")

    plugins.add("bad", module(maestro_event=maestro_event, maestro_explain_end=lambda end: "an answer"))
    for number in range(20):
        tell(plugins, number)
    assert really(plugins.first("maestro_explain_end", end=END)) is None
    assert calls == list(range(hooks.MOST_FAULTS))
    assert plugins.notices == ("plugin bad: set aside after 5 faults, the last: RuntimeError: again",)
    assert not plugins.offers("maestro_event")


def test_a_hanging_hook_holds_nobody_up_and_is_set_aside(
    plugins: Plugins, impatient: None, gate: threading.Event
) -> None:
    heard: list[int] = []
    plugins.add("stuck", module(maestro_event=lambda event: gate.wait() and None))
    plugins.add("good", module(maestro_event=lambda event: heard.append(event.seq)))

    async def go() -> None:
        def told_until_set_aside() -> str:
            tell(plugins)
            return plugins.fences[0].set_aside

        await until(told_until_set_aside)
        told = len(heard)
        tell(plugins)
        await until(lambda: len(heard) > told)

    really(go())
    assert "maestro_event takes longer than" in plugins.notices[0]
    assert not plugins.fences[0].offers("maestro_event")
    assert plugins.fences[1].faults == 0


def test_an_answer_is_not_waited_for_for_ever(
    plugins: Plugins, impatient: None, gate: threading.Event
) -> None:
    plugins.add("stuck", module(maestro_explain_end=lambda end: gate.wait() and None))
    plugins.add("good", module(maestro_explain_end=lambda end: "an answer"))
    assert really(plugins.first("maestro_explain_end", end=END)) == "an answer"
    assert plugins.fences[0].faults == 1
    gate.set()
    assert really(plugins.first("maestro_explain_end", end=END)) == "an answer"
    assert plugins.fences[0].faults == 1, "what came late is one fault, and not two"


def test_a_plugin_that_is_behind_loses_notices_and_they_are_counted(
    plugins: Plugins, monkeypatch: pytest.MonkeyPatch, gate: threading.Event
) -> None:
    monkeypatch.setattr(fencing, "_LONGEST_QUEUE", 10)
    plugins.add("slow", module(maestro_event=lambda event: gate.wait() and None))
    for number in range(30):
        tell(plugins, number)
    assert plugins.fences[0].dropped in (19, 20)
    assert plugins.notices == (f"plugin slow is behind: {plugins.fences[0].dropped} notices dropped",)


def test_one_section_belongs_to_one_plugin(plugins: Plugins, caplog: pytest.LogCaptureFixture) -> None:
    plugins.add("first", module(maestro_sections=lambda: {"mine": Options}))
    plugins.add("second", module(maestro_sections=lambda: {"mine": Struct, "other": Options}))
    assert plugins.sections == {"mine": Options, "other": Options}
    assert "plugin second: section mine is already declared by plugin first" in caplog.text


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        ({"agent": Options}, "section agent is Maestro's own"),
        ({"mine": 3}, "section 'mine' is not declared by a Struct of options"),
        ({"mine": dict}, "section 'mine' is not declared by a Struct of options"),
        (["mine"], "maestro_sections returned list"),
        (None, "maestro_sections returned NoneType"),
    ],
)
def test_a_bad_declaration_is_left_out(
    plugins: Plugins, caplog: pytest.LogCaptureFixture, declared: Any, says: str
) -> None:
    plugins.add("bad", module(maestro_sections=lambda: declared))
    assert plugins.sections == {}
    assert says in caplog.text


def test_a_declaration_that_hangs_is_left_out(
    plugins: Plugins, impatient: None, gate: threading.Event
) -> None:
    plugins.add("stuck", module(maestro_sections=lambda: gate.wait() and {}))
    assert plugins.sections == {}
    assert plugins.fences[0].faults == 1


# ------------------------------------------------------------------------------------------- loading


def entries(monkeypatch: pytest.MonkeyPatch, **modules: Any) -> None:
    def load(entry: EntryPoint) -> Any:
        found = modules[entry.name]
        if isinstance(found, BaseException):
            raise found
        return found() if inspect.ismethod(found) else found

    monkeypatch.setattr(EntryPoint, "load", load)
    found = [EntryPoint(name, name, hooks.GROUP) for name in modules]
    monkeypatch.setattr(fencing, "entry_points", lambda group: found)


def test_an_unknown_hook_is_refused_with_a_sentence_and_harms_no_other(
    plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries(
        monkeypatch,
        bad=module(maestro_evnt=lambda event: None, maestro_event=lambda event: None),
        worse=module(maestro_event=lambda event, what: None),
        good=module(maestro_explain_end=lambda end: "an answer"),
    )
    plugins.find()
    assert [fence.name for fence in plugins.fences] == ["good"]
    assert plugins.notices[0].startswith(
        "plugin bad does not load: PluginValidationError: unknown hook 'maestro_evnt'"
    )
    assert plugins.notices[1].startswith("plugin worse does not load: PluginValidationError: ")
    assert not plugins.offers("maestro_event")


@pytest.mark.parametrize(
    "what", [ImportError("no module named torch"), SystemExit("go away"), SyntaxError("what")]
)
def test_a_plugin_that_does_not_load_is_left_out(
    plugins: Plugins, monkeypatch: pytest.MonkeyPatch, what: BaseException
) -> None:
    entries(monkeypatch, bad=what, good=module(maestro_explain_end=lambda end: "an answer"))
    plugins.find()
    assert [fence.name for fence in plugins.fences] == ["good"]
    assert plugins.notices == (f"plugin bad does not load: {type(what).__name__}: {what}",)


def test_an_import_that_hangs_does_not_hold_the_manager_up(
    plugins: Plugins, monkeypatch: pytest.MonkeyPatch, impatient: None, gate: threading.Event
) -> None:
    entries(monkeypatch, stuck=gate.wait, good=module(maestro_explain_end=lambda end: "an answer"))
    plugins.find()
    assert [fence.name for fence in plugins.fences] == ["good"]
    assert plugins.notices == (
        "plugin stuck does not load: TimeoutError: its import takes longer than 0.05 s",
    )


def test_a_plugin_can_be_blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    entries(monkeypatch, one=module(), two=module())
    plugins = Plugins("/nowhere", blocked=("one",))
    plugins.find()
    assert [fence.name for fence in plugins.fences] == ["two"]
    plugins.close()


def test_the_first_party_plugin_is_found_by_its_entry_point(plugins: Plugins) -> None:
    plugins.find()
    if not plugins.fences:
        pytest.skip("the project is not installed in this environment: no entry points")
    assert "postmortem" in [fence.name for fence in plugins.fences]
    assert "postmortem" in plugins.sections
