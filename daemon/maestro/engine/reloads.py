"""What rows of the table do when a unit is to read its configuration again, and when it says that it does."""

from __future__ import annotations

from math import isinf

from msgspec.structs import replace

from maestro.engine import errands, words
from maestro.engine.events import Send
from maestro.engine.scene import Outcome, Scene
from maestro.engine.state import Life, State


def send_signal(scene: Scene) -> Outcome:
    """A signal is all there is to it: nobody says when the reload is over."""
    life = _signalled(scene, scene.life)
    cause = f"SIG{_signal(scene)} sent to reload"
    life = replace(life, cause=cause, awaits=(), reload_again=False, reload_fault="")
    assert life.sent is not None
    return Outcome(life=life, deeds=(life.sent,), news=(words.tell(scene, "reload", cause, life),))


def run_commands(scene: Scene) -> Outcome:
    life = replace(scene.life, reload_at=scene.now, reload_again=False, reload_fault="")
    outcome = errands.run_reload(scene, life)
    return replace(outcome, news=(words.tell(scene, "reload", outcome.life.cause, life),))


def request(scene: Scene) -> Outcome:
    """The signal, and it says itself when it begins and when it is done."""
    life = replace(
        scene.life, reload_at=scene.now, reload_again=False, reload_fault="", awaits=("reloading",)
    )
    cause = f"SIG{_signal(scene)} sent to reload; waits for {words.awaited(life.awaits)}"
    life = replace(_timed(scene, _signalled(scene, life)), cause=cause)
    assert life.sent is not None
    return Outcome(life=life, deeds=(life.sent,), news=(words.tell(scene, "reload", cause, life),))


def ask_again(scene: Scene) -> Outcome:
    """One is under way, which may have read what has changed since: another follows."""
    return Outcome(life=replace(scene.life, reload_again=True))


def hear(scene: Scene) -> Outcome:
    """RELOADING=1: READY=1 will follow."""
    life = replace(scene.life, awaits=("notify",), cause="it says that it reloads")
    if scene.life.state is not State.RELOADING:
        life = replace(_timed(scene, life), reload_at=scene.now, reload_again=False, reload_fault="")
    return Outcome(life=life, news=(words.tell(scene, "reload", life.cause, life),))


def finish(scene: Scene) -> Outcome:
    return _over(scene, f"reloaded in {words.span(scene.now - scene.life.reload_at)}")


def fail(scene: Scene) -> Outcome:
    """What failed is the reload: the unit runs on as it was."""
    return _over(scene, scene.words, failed=True)


def time_out(scene: Scene) -> Outcome:
    missing = words.awaited(scene.life.awaits)
    if scene.life.errand is not None:
        missing = f"{errands.name(scene.life.errand)} to end"
    limit = words.span(scene.now - scene.life.reload_at)
    return _over(scene, f"not reloaded within {limit}: still waiting for {missing}", failed=True)


def _over(scene: Scene, text: str, *, failed: bool = False) -> Outcome:
    life = replace(scene.life, awaits=(), cause=text, reload_fault=text if failed else "")
    kind = "reload-failed" if failed else "reloaded"
    return Outcome(life=life, news=(words.tell(scene, kind, text, life),))


def _signal(scene: Scene) -> str:
    return str(scene.agent.reload_signal or "HUP")


def _signalled(scene: Scene, life: Life) -> Life:
    """Numbered like the signals of a stop: so a new manager may order it again."""
    sent = Send(life.agent, _signal(scene), False, life.orders + 1)
    return replace(life, sent=sent, orders=sent.order)


def _timed(scene: Scene, life: Life) -> Life:
    limit = float(scene.agent.start_timeout)
    return life if isinf(limit) else replace(life, timers={**life.timers, "command": scene.now + limit})
