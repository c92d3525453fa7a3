"""How an agent begins: its process is made, and is heard of it that it was executed, and that it is ready."""

from __future__ import annotations

import os
from _socket import AF_UNIX, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_SEQPACKET, socketpair

from maestro.keeper import cgroup, child, gateways, steps, streams
from maestro.keeper.quick import Quick
from maestro.keeper.say import guarded
from maestro.keeper.table import Entry, open_again

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from maestro.keeper.agents import Surroundings
    from maestro.keeper.starters import Starters
    from maestro.keeper.store import Kept
    from maestro.keeper.table import Table

_FIRST_PASSED = 3  # number of the first descriptor after the standard streams: where sd_listen_fds(3) begins
_UNTOLD = "be started as it is confined"  # where nobody can take the steps again that would say which it was


class Births:
    def __init__(self, table: Table, around: Surroundings, forget: Callable[[Entry], None]) -> None:
        self._table = table
        self._around = around
        self._tell = around.tell
        self._forget = forget
        self._quick = Quick(around.nest)
        self._starters = self._quick.starters(around.proc, around.tree.not_agents)
        self._given: set[str] = set()  # agents that a starter is about to make
        self._played: dict[str, dict[str, Any]] = {}  # agent whose tape is being played -> its recipe

    def resume(self, entry: Entry) -> None:
        """After a re-exec: wait again for what the predecessor waited for."""
        if entry.unconfirmed >= 0:
            self._await_exec(entry)
        if entry.ready_fd >= 0:
            self._await_ready(entry)

    def spawn(self, agent: str, recipe: dict[str, Any]) -> None:
        """It need not have begun yet when this returns, where more orders wait: `land` is to be called then."""
        while self._starters and self._starters.has_outcome():
            self._land_one(self._starters)  # the sooner it is noted, the surer it is found if we are killed
        if agent in self._given:
            self.land()  # the order was given twice
        elif not self._give(agent, recipe):
            self._make(agent, recipe)

    def _give(self, agent: str, recipe: dict[str, Any]) -> bool:
        """Whether a starter does it while we see to the next order."""
        starters, around = self._starters, self._around
        if starters is None or not around.has_more() or around.store.of(recipe.get("store", "")):
            return False
        try:
            output = self._output(recipe.get("stream"))
        except OSError:
            return False
        while starters.next_is_busy():
            self._land_one(starters)
        if not self._quick.give(starters, (agent, recipe), recipe, output):
            return False
        self._given.add(agent)
        return True

    def land(self) -> None:
        """Wait for all that starters have been given, and tell what came of it."""
        while self._starters:
            self._land_one(self._starters)

    def _land_one(self, starters: Starters) -> None:
        (agent, recipe), pid = starters.take()
        self._given.discard(agent)
        guarded(self._land_as, agent, recipe, pid)  # a fault in this one is not to cost those after it

    def _land_as(self, agent: str, recipe: dict[str, Any], pid: int) -> None:
        if pid:
            self.tell_begun(self._born(agent, pid, recipe))
        else:
            self._make(agent, recipe)

    def reaped(self, pid: int) -> None:
        """A child of ours that was no agent."""
        if self._starters is not None:
            self._starters.reaped(pid)

    def end_starters(self) -> None:
        self.land()
        if self._starters is not None:
            self._starters.end()

    def _make(self, agent: str, recipe: dict[str, Any]) -> None:
        stage = "make its control group"
        try:
            groups = recipe.get("make", ())
            if groups:
                cgroup.make_last(groups)
            stage = "make a pipe"
            output = self._output(recipe.get("stream"))
            kept = self._around.store.of(recipe.get("store", ""))
            given = streams.choose(recipe, kept)
        except streams.NotStored as why:
            self._tell("cannot_spawn", agent, str(why), 0)
            return
        except OSError as error:
            self._tell("cannot_spawn", agent, f"{stage} {error.filename or ''}".rstrip(), error.errno or 0)
            return
        if not kept and (quick := self._quick.spawn(recipe, output)):
            self.tell_begun(self._born(agent, quick, recipe))
        elif not kept and (played := self._quick.play(recipe, output)):
            entry = self._born(agent, played[0], recipe)
            entry.unconfirmed, entry.slate = played[1:]
            self._played[agent] = recipe
            self._await_exec(entry)
        else:
            self._fork(agent, recipe, output, kept, given)

    def _fork(
        self,
        agent: str,
        recipe: dict[str, Any],
        output: int,
        kept: list[Kept],
        given: dict[tuple[str, str], int],
    ) -> None:
        stage, ends = "make its control group", _Ends()
        try:
            cgroup.make_all(recipe.get("make", ()))  # somebody may have removed one
            stage = "make a pipe"
            steps.learn(recipe)
            ends.make(recipe)
            stage = "fork into its control group" if recipe.get("cgroup") else "fork"
            birth = child.Birth(recipe, self._around.nest, output, ends.report[1])
            birth.given = given
            _pass(birth, kept, ends)
            if birth.clone_flags:
                stage = "make namespaces of its own"
            pid = child.fork(birth, steps.AGENT)
        except OSError as error:
            ends.close()
            self._tell("cannot_spawn", agent, f"{stage} {error.filename or ''}".rstrip(), error.errno or 0)
            return
        ends.close(ours=False)
        entry = self._born(agent, pid, recipe)
        entry.gate = ends.gate[0] if ends.gate else -1
        entry.unconfirmed, entry.slate = ends.report[0], ends.slate
        self._await_exec(entry)
        if ends.door:
            self._around.gateways.serve(agent, recipe["gateways"], ends.door[0], [])
        if ends.ready:
            entry.ready_fd = ends.ready[0]
            self._await_ready(entry)

    def _output(self, name: str | None) -> int:
        if name is None:
            return -1
        fd, new = self._table.stream(name)
        if new:
            self._tell("stream", name)
        return fd

    def _born(self, agent: str, pid: int, recipe: dict[str, Any]) -> Entry:
        process = self._around.proc.look(pid)
        invocation = recipe.get("env", {}).get("INVOCATION_ID", "")
        entry = Entry(agent, pid, process.start if process else 0, invocation, recipe.get("cgroup", ""))
        self._table.add(entry)
        self._around.record.note(entry)
        return entry

    def tell_begun(self, entry: Entry) -> None:
        self._tell("spawned", entry.agent, entry.pid, entry.start)

    def _await_exec(self, entry: Entry) -> None:
        self._around.watch.on(entry.unconfirmed, lambda: self.confirm(entry))

    def confirm(self, entry: Entry) -> None:
        """The child has closed its end of the pipe: by exec, or after it wrote why there will be none."""
        try:
            report = os.read(entry.unconfirmed, 4096)
        except BlockingIOError:
            return
        self._around.watch.off(entry.unconfirmed)
        os.close(entry.unconfirmed)
        entry.unconfirmed = -1
        report = self._on_slate(entry) or report
        recipe = self._played.pop(entry.agent, None)
        if not report:
            if entry.gate >= 0:
                gate, entry.gate = entry.gate, -1
                self._around.gateways.take(entry.agent, gate)
            self.tell_begun(entry)
            return
        if recipe is not None and not entry.order and not entry.doomed:
            self._take_steps(entry, recipe)
            return
        self._forget(entry)
        number, _, stage = report.decode(errors="replace").partition(" ")
        self._tell("cannot_spawn", entry.agent, stage or _UNTOLD, int(number))

    def _take_steps(self, entry: Entry, recipe: dict[str, Any]) -> None:
        """A tape could not be played to its end: a child that takes the steps can, or says in words what it cannot."""
        self.forget(entry)
        self._table.drop(entry)
        self._fork(entry.agent, recipe, self._table.streams.get(recipe.get("stream") or "", -1), [], {})

    def _on_slate(self, entry: Entry) -> bytes:
        """What a child has written that may not write to pipes any more."""
        if entry.slate < 0:
            return b""
        slate, entry.slate = entry.slate, -1
        try:
            return os.pread(slate, child.SLATE, 0).rstrip(b"\0")
        finally:
            os.close(slate)

    # -------------------------------------------------------------------------------------------- readiness

    def _await_ready(self, entry: Entry) -> None:
        self._around.watch.on(entry.ready_fd, lambda: self.hear_ready(entry))

    def hear_ready(self, entry: Entry) -> None:
        """A line says that it is ready; what it writes afterwards is nobody's."""
        try:
            said = os.read(entry.ready_fd, 4096)
        except BlockingIOError:
            return
        if said and b"\n" not in said:
            return
        self.forget(entry)
        if said:
            entry.ready = True
            self._tell("ready", entry.agent)

    def forget(self, entry: Entry) -> None:
        """Hear no more whether it is ready."""
        self._played.pop(entry.agent, None)
        self._on_slate(entry)
        if entry.gate >= 0:
            os.close(entry.gate)
            entry.gate = -1
        if entry.ready_fd >= 0:
            self._around.watch.off(entry.ready_fd)
            os.close(entry.ready_fd)
            entry.ready_fd = -1


def _pipe() -> tuple[int, int]:
    """Its other end is a reader, too, so that who writes to it never gets SIGPIPE, whoever dies."""
    read, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return read, open_again(f"/proc/self/fd/{write}")
    except OSError:
        os.close(read)
        raise
    finally:
        os.close(write)


class _Ends:
    """Pipes and sockets between us and one child: of each, our end and its own; empty where there is none."""

    __slots__ = ("door", "gate", "ready", "report", "slate")

    def __init__(self) -> None:
        self.report: tuple[int, ...] = ()  # that a step failed
        self.ready: tuple[int, ...] = ()
        self.gate: tuple[int, ...] = ()  # what listens in its network
        self.door: tuple[int, ...] = ()  # what listens in the networks of others
        self.slate = -1  # memory that we share

    def make(self, recipe: dict[str, Any]) -> None:
        self.report = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        if recipe.get("notify_fd"):
            self.ready = _pipe()
        if recipe.get("sandbox", {}).get("namespaces", {}).get("listeners"):
            ours, theirs = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK)
            self.gate = ours.detach(), theirs.detach()
        if recipe.get("gateways"):
            self.door = gateways.door()
        if recipe.get("sandbox", {}).get("seccomp"):
            self.slate = os.memfd_create("report")
            os.ftruncate(self.slate, child.SLATE)

    def close(self, *, ours: bool = True) -> None:
        for pair in (self.report, self.ready, self.gate, self.door):
            for fd in pair if ours else pair[1:]:
                os.close(fd)
        if ours and self.slate >= 0:
            os.close(self.slate)


def _pass(birth: child.Birth, kept: list[Kept], ends: _Ends) -> None:
    """What the child is to have at which number."""
    birth.passed = {_FIRST_PASSED + place: one.fd for place, one in enumerate(kept)}
    birth.listening = tuple(one.name for one in kept)
    if ends.door:
        birth.passed[_FIRST_PASSED + len(kept)] = ends.door[1]
        birth.listening += (gateways.NAME,)
    if ends.ready:
        birth.passed[birth.recipe["notify_fd"]] = ends.ready[1]
    birth.gate = ends.gate[1] if ends.gate else -1
    birth.slate = ends.slate
