"""What users of other supervisors complain of, each as a test that it does not happen here. Named by where it was said."""

from __future__ import annotations

from maestro.engine.events import Quit
from maestro.engine.jobs import JobState
from maestro.engine.state import Coarse, State
from maestro.model.unit import RestartSection, StopSection
from maestro.model.values import Percentage, Seconds, StartLimit, StopStep
from maestro.testing.theatre import FOREVER, Play, Theatre, unit

EVEN = Percentage(0)
CRASH = Play(ends=0.5, code=1)
LIMITED = RestartSection(delay=Seconds(0), start_limits=(StartLimit("3/10s"),), cooldown=Seconds(600))


def test_systemd_43813_the_pause_starts_afresh_after_a_healthy_run() -> None:
    """It grew over months, since only a manual start cleared it."""
    rule = RestartSection(delay=Seconds(1), jitter=EVEN, start_limits=())
    theatre = Theatre(
        [unit(restart=rule)], lambda _, number: CRASH if number % 4 else Play(ends=5000, code=1)
    )
    theatre.ask("start", "web")
    theatre.run(until=6000)
    ends, starts = theatre.times("web", State.BACKOFF), theatre.times("web", State.SPAWNING)[1:]
    pauses = [start - end for end, start in zip(ends, starts, strict=False)]
    assert pauses[:6] == [1, 2, 4, 1, 2, 4]


def test_systemd_18856_a_dependant_starts_when_its_requirement_recovers() -> None:
    db = unit("db", type="notify", restart=RestartSection(policy="no"))
    theatre = Theatre(
        [db, unit("web", requires=["db"], after=["db"])],
        lambda name, number: CRASH if name == "db" and number == 1 else Play(ready=1),
    )
    theatre.ask("start", "web")
    theatre.run(until=5)
    assert theatre.life("web").coarse is Coarse.WAITING
    theatre.ask("start", "db")
    theatre.run(until=10)
    assert theatre.life("web").state is State.RUNNING


def test_systemd_10529_a_start_by_hand_is_never_refused_by_a_start_limit_and_clears_it() -> None:
    theatre = Theatre([unit(restart=LIMITED)], lambda _, number: CRASH if number < 6 else FOREVER)
    theatre.ask("start", "web")
    theatre.run(until=10)
    assert theatre.life("web").state is State.COOLDOWN
    step = theatre.ask("start", "web")
    assert not step.refusals
    theatre.run(until=20)
    assert (theatre.life("web").state, theatre.life("web").restarts) == (State.RUNNING, 1)


def test_systemd_2416_giving_up_is_a_rest_and_not_the_end() -> None:
    theatre = Theatre([unit(restart=LIMITED)], lambda _, number: CRASH if number < 5 else FOREVER)
    theatre.ask("start", "web")
    theatre.run(until=700)
    assert theatre.life("web").state is State.RUNNING


def test_systemd_8398_failing_and_giving_up_are_two_things() -> None:
    units = [
        unit("web", restart=LIMITED, on_give_up=["page"]),
        unit("job", restart=RestartSection(policy="no"), on_failure=["mail"], on_give_up=["page"]),
        unit("page"),
        unit("mail"),
    ]
    theatre = Theatre(units, lambda name, _: CRASH if name in ("web", "job") else FOREVER)
    theatre.ask("start", "job")
    theatre.run(until=5)
    assert (theatre.life("mail").state, theatre.life("page").state) == (State.RUNNING, State.DEAD)
    theatre.ask("start", "web")
    theatre.run(until=10)
    assert theatre.life("page").state is State.RUNNING


def test_robot_comic_274_a_restart_by_hand_takes_over_from_the_automatic_one() -> None:
    """systemd answered `Job for unit canceled`."""
    rule = RestartSection(delay=Seconds(10), jitter=EVEN)
    theatre = Theatre([unit(restart=rule)], lambda _, number: CRASH if number == 1 else FOREVER)
    theatre.ask("start", "web")
    theatre.run(until=2)
    assert theatre.life("web").state is State.BACKOFF
    [job] = theatre.ask("restart", "web").jobs
    theatre.run(until=3)
    assert theatre.times("web", State.RUNNING)[-1] == 2
    done = [one for one in theatre.news if one.job == job.id]
    assert [one.words.split(":")[1].strip() for one in done] == [JobState.DONE.value]
    theatre.run(until=60)
    assert theatre.life("web").spawns == 2


def test_s6_overlay_87_an_essential_service_takes_the_container_along_with_its_exit_code() -> None:
    theatre = Theatre(
        [unit(restart=RestartSection(policy="no"), essential=True)], lambda *_: Play(ends=1, code=3)
    )
    quits: list[Quit] = []
    theatre.on_quit = quits.append
    theatre.ask("start", "web")
    theatre.run(until=5)
    assert [one.code for one in quits] == [3]


def test_s6_overlay_566_a_stop_during_the_start_of_everything_converges() -> None:
    stop = StopSection(sequence=(StopStep("TERM 5s"), StopStep("KILL")))
    names = [f"n{number}" for number in range(6)]
    units = [
        unit(name, type="notify", stop=stop, requires=names[:number][-1:], after=names[:number][-1:])
        for number, name in enumerate(names)
    ]
    for moment in range(12):
        theatre = Theatre(units, lambda *_: Play(ready=2, heeds=()))
        theatre.ask("start", *names)
        theatre.run(until=float(moment))
        theatre.ask("stop", *names)
        theatre.run(until=moment + 60.0)
        assert {theatre.life(name).state for name in names} == {State.DEAD}
        assert not theatre.alive


def test_runit_33_the_last_word_wins_however_fast_they_come() -> None:
    theatre = Theatre([unit()], lambda *_: Play(slow=0.3))
    theatre.ask("start", "web")
    for verb in ("stop", "start", "stop", "start", "stop") * 4:
        theatre.ask(verb, "web")
    theatre.run(until=30)
    assert theatre.life("web").state is State.DEAD


def test_dinit_300_a_restart_of_what_is_stopped_starts_it() -> None:
    theatre = Theatre([unit()])
    assert not theatre.ask("restart", "web").refusals
    theatre.run(until=1)
    assert theatre.life("web").state is State.RUNNING


def test_dinit_249_who_depends_on_what_gave_up_says_so() -> None:
    theatre = Theatre(
        [unit("db", type="notify", restart=LIMITED), unit("web", requires=["db"], after=["db"])],
        lambda name, _: CRASH if name == "db" else FOREVER,
    )
    theatre.ask("start", "web")
    theatre.run(until=30)
    assert theatre.life("web").cause.startswith("waits for db, which gave up for a while")


def test_supervisord_487_a_program_that_crashes_just_after_it_is_ready_is_not_restarted_in_a_tight_loop() -> (
    None
):
    """It left BACKOFF after startsecs, and restarted at once from then on."""
    rule = RestartSection(delay=Seconds(1), jitter=EVEN, start_limits=())
    theatre = Theatre([unit(restart=rule)], lambda *_: Play(ends=2.0, code=1))
    theatre.ask("start", "web")
    theatre.run(until=120)
    assert theatre.life("web").spawns < 10


def test_process_compose_530_a_stop_while_it_waits_leaves_no_copy_behind() -> None:
    units = [unit("db", type="notify"), unit("web", requires=["db"], after=["db"])]
    theatre = Theatre(units, lambda *_: Play(ready=5))
    theatre.ask("start", "web")
    theatre.run(until=1)
    theatre.ask("stop", "web")
    theatre.run(until=60)
    assert (theatre.life("web").state, theatre.life("web").spawns) == (State.DEAD, 0)


def test_pebble_240_a_first_start_that_fails_fast_is_tried_again() -> None:
    theatre = Theatre([unit()], lambda _, number: Play(ends=0.0, code=1) if number == 1 else FOREVER)
    theatre.ask("start", "web")
    theatre.run(until=5)
    assert theatre.life("web").state is State.RUNNING


def test_pebble_594_a_new_process_waits_until_nothing_of_the_old_one_is_left() -> None:
    theatre = Theatre(
        [unit(restart=RestartSection(delay=Seconds(0), start_limits=()))],
        lambda _, number: Play(ends=1, code=1, leaves=2, lingers=3.0) if number == 1 else FOREVER,
    )
    theatre.ask("start", "web")
    theatre.run(until=100)
    assert theatre.two_at_once == []
    assert theatre.times("web", State.RUNNING)[-1] >= 4


def test_compose_13780_order_holds_on_a_restart_too() -> None:
    units = [unit("db", type="notify"), unit("web", requires=["db"], after=["db"])]
    theatre = Theatre(units, lambda *_: Play(ready=2, slow=1))
    theatre.ask("start", "web")
    theatre.run(until=10)
    theatre.ask("restart", "db")
    theatre.run(until=30)
    assert theatre.times("web", State.STOPPING)[-1] < theatre.times("db", State.STOPPING)[-1]
    assert theatre.times("web", State.RUNNING)[-1] >= theatre.times("db", State.RUNNING)[-1]


def test_a_stop_of_what_waits_to_be_restarted_kills_nobody_and_says_so() -> None:
    rule = RestartSection(delay=Seconds(10), start_limits=())
    theatre = Theatre([unit(restart=rule)], lambda *_: Play(ends=1, code=None, signal=9))
    theatre.ask("start", "web")
    theatre.run(until=2)
    theatre.ask("stop", "web")
    assert theatre.life("web").cause == "stopped on request"
