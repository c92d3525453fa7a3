"""What `maestroctl run` asks for, and how it waits for the end of what it has started."""

from __future__ import annotations

import os
import shlex

from maestro.cli import exits
from maestro.cli.text import clean, span
from maestro.control.trouble import CallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from maestro.cli.context import Context

_MOST_SHOWN = 200  # characters of a command, as a description
_TEXTS = {"uid": "agent.user", "gid": "agent.group", "slice": "resources.slice"}


def properties(given: Mapping[str, Any], environ: Mapping[str, str]) -> list[str]:
    """Options of the unit, as the daemon takes them. What was given by -p comes last, so that it counts."""
    from maestro.model.properties import command, mapping, verbatim  # imports the model

    words = [_program(given["names"][0], environ), *given["names"][1:]]
    texts = {option: given[name] for name, option in _TEXTS.items() if given[name] is not None}
    if given["working_directory"] is not None:
        texts["agent.working_directory"] = _absolute(given["working_directory"])
    if given["same_dir"]:
        texts["agent.working_directory"] = _absolute("")
    description = given["description"] or _shown(shlex.join(given["names"]))
    texts["unit.description"] = " ".join(description.split())
    found = [f"{option}={verbatim(text)}" for option, text in texts.items()]
    if given["setenv"]:
        found.append(f"agent.environment={mapping(_variable(one, environ) for one in given['setenv'])}")
    if given["collect"]:
        found.append("unit.collect_mode=inactive-or-failed")
    found = [f"agent.exec={command(words)}", *found, *given["property"]]
    for one in found:
        try:
            one.encode()
        except UnicodeEncodeError:
            shown = clean(one.encode(errors="backslashreplace").decode())
            raise CallError("bad-request", f"not UTF-8: {shown}", "a unit file is text") from None
    return found


def _program(word: str, environ: Mapping[str, str]) -> str:
    """Where the program is for the caller: the daemon has another directory, and another PATH."""
    if "/" in word:
        return _absolute(word)
    import shutil

    found = shutil.which(word, path=environ.get("PATH"))
    return _absolute(found) if found else word


def _absolute(path: str) -> str:
    """What the caller means by it; by nothing, the directory that the caller is in."""
    try:
        return os.path.abspath(path)
    except FileNotFoundError:
        message = "the directory that you are in was removed"
        raise CallError("bad-request", message, "change to another one") from None


def _shown(command: str) -> str:
    """A command as one line for people; a longer one is with its unit."""
    return command if len(command) <= _MOST_SHOWN else f"{command[: _MOST_SHOWN - 1]}…"


def _variable(text: str, environ: Mapping[str, str]) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals and name not in environ:
        raise CallError("bad-request", f"--setenv: you have no variable {name}", f"write {name}=VALUE")
    return name, value if equals else environ[name]


def interrupted(context: Context, name: str) -> int:
    context.complain(f"interrupted: {name} runs on; to stop it: maestroctl stop {name}")
    return exits.INTERRUPTED


class Attended:
    """One that is waited for."""

    def __init__(self, context: Context, name: str) -> None:
        self._context, self._name = context, name

    def run(self, fields: dict[str, Any], *, follow: bool) -> int:
        context, client = self._context, self._context.client
        last = client.stream("events", {"lines": 1, "follow": False}, limit=context.limit)
        cursor = max((event["seq"] for event in last), default=0)
        began = context.now()
        try:
            view = client.call("run", {**fields, "wait": False}, limit=context.limit)
            self._name = view["unit"]
            self._say(f"Running as {self._name}")
            if follow:
                self._follow(began)
            end = self._end(cursor)
        except KeyboardInterrupt:
            return interrupted(context, self._name)
        if context.json:
            context.say_json({"unit": self._name, "path": view["path"], "exit": end["exit"], "end": end})
        elif not context.quiet or end["exit"]:
            self._say(f"{self._name}: {clean(end['words'])} ({span(context.now() - began)})")
        return int(end["exit"])

    def _say(self, text: str) -> None:
        """Beside the output that is shown."""
        if not self._context.json and not self._context.quiet:
            self._context.complain(text)

    def _follow(self, began: float) -> None:
        from maestro.cli.commands.logs import as_json, as_text

        context = self._context
        fields = {"units": [self._name], "lines": None, "since": began, "follow": True, "to_end": True}
        for line in context.client.stream("logs", fields, limit=context.limit):
            if context.json:
                context.say_json(as_json(line))
            else:
                raw = not context.is_tty
                context.say(as_text(line, context.paint, named=False, times=False, raw=raw))
            context.out.flush()

    def _end(self, cursor: int) -> dict[str, Any]:
        """The event of its end for good. It is told of the unit even when that is forgotten."""
        fields = {"units": [self._name], "cursor": cursor, "follow": True}
        for event in self._context.client.stream("events", fields, limit=self._context.limit):
            if event["exit"] is not None:
                return event
        raise CallError("no-answer", f"nothing was heard of the end of {self._name}", "")
