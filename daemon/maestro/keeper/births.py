"""How an agent begins: its process is made, and is heard of it that it was executed, and that it is ready."""

from __future__ import annotations

import os
from _socket import AF_UNIX, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_SEQPACKET, socket, socketpair

from maestro.keeper import child, steps, streams, wire
from maestro.keeper.quick import Quick
from maestro.keeper.table import Entry, open_again

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from maestro.keeper.agents import Surroundings
    from maestro.keeper.table import Table

_FIRST_PASSED = 3  # number of the first descriptor after the standard streams: where sd_listen_fds(3) begins


class Births:
    def __init__(self, table: Table, around: Surroundings, forget: Callable[[Entry], None]) -> None:
        self._table = table
        self._around = around
        self._tell = around.tell
        self._forget = forget
        self._quick = Quick(around.nest)

    def resume(self, entry: Entry) -> None:
        """After a re-exec: wait again for what the predecessor waited for."""
        if entry.unconfirmed >= 0:
            self._await_exec(entry)
        if entry.ready_fd >= 0:
            self._await_ready(entry)

    def spawn(self, agent: str, recipe: dict[str, Any]) -> None:
        stage = "make a pipe"
        report: tuple[int, ...] = ()
        ready: tuple[int, ...] = ()
        gate: tuple[int, ...] = ()
        try:
            output = self._output(recipe.get("stream"))
            kept = self._around.store.of(recipe.get("store", ""))
            given = streams.choose(recipe, kept)
            if not kept and (quick := self._quick.spawn(recipe, output)):
                self.tell_begun(self._born(agent, quick, recipe))
                return
            steps.learn(recipe)
            report = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            ready = _pipe() if recipe.get("notify_fd") else ()
            stage = "fork into its control group" if recipe.get("cgroup") else "fork"
            gate = _gate(recipe)
            birth = child.Birth(recipe, self._around.nest, output, report[1])
            birth.given = given
            birth.passed = {_FIRST_PASSED + place: one.fd for place, one in enumerate(kept)}
            birth.listening = tuple(one.name for one in kept)
            if ready:
                birth.passed[recipe["notify_fd"]] = ready[1]
            birth.gate = gate[1] if gate else -1
            if birth.clone_flags:
                stage = "make namespaces of its own"
            pid = child.fork(birth, steps.AGENT)
        except streams.NotStored as why:
            self._tell("cannot_spawn", agent, str(why), 0)
            return
        except OSError as error:
            _close(*report, *ready, *gate)
            self._tell("cannot_spawn", agent, stage, error.errno or 0)
            return
        _close(*report[1:], *ready[1:], *gate[1:])
        entry = self._born(agent, pid, recipe)
        entry.gate = gate[0] if gate else -1
        entry.unconfirmed = report[0]
        self._await_exec(entry)
        if ready:
            entry.ready_fd = ready[0]
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
        if not report:
            self._take_listeners(entry)
            self.tell_begun(entry)
            return
        self._forget(entry)
        number, _, stage = report.decode(errors="replace").partition(" ")
        self._tell("cannot_spawn", entry.agent, stage, int(number))

    def _take_listeners(self, entry: Entry) -> None:
        """Those that the child has handed out, all of them before its exec. They replace those of an earlier network of the unit."""
        if entry.gate < 0:
            return
        unit = entry.agent.partition("#")[0]
        self._table.release_gateways(unit)
        door, entry.gate = socket(fileno=entry.gate), -1
        try:
            while (received := wire.receive(door))[1] >= 0:
                name = f"gateway:{unit}:{received[0].decode()}"
                self._table.hold(name, received[1])
                self._tell("held", name)
        except BlockingIOError:
            pass  # its exec closes one descriptor after the other, and this one is not closed yet
        finally:
            door.close()

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


def _gate(recipe: dict[str, Any]) -> tuple[int, ...]:
    """A socket pair, where its child is to hand out sockets: ours and the child's."""
    if not recipe.get("sandbox", {}).get("namespaces", {}).get("listeners"):
        return ()
    ours, theirs = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK)
    return ours.detach(), theirs.detach()


def _close(*fds: int) -> None:
    for fd in fds:
        os.close(fd)
