"""Commands that show one thing of each unit that is named: cat and show."""

from __future__ import annotations

from maestro.cli import exits
from maestro.cli.command import Argument, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from maestro.cli.context import Context
    from maestro.cli.render.common import View
    from maestro.cli.text import Paint

    Picture = Callable[[Sequence[View], Paint], str]


def asking(name: str, help: str, picture: Picture) -> Command:
    """A command that asks what it is called, and shows the items of the answer."""

    def run(context: Context, given: dict[str, Any]) -> int:
        view = context.client.call(name, {"units": given["names"]}, limit=context.limit)
        if context.json:
            context.say_json(view)
        elif view["items"]:
            context.say(picture(view["items"], context.paint))
        return exits.FAILED if any(item.get("problems") for item in view["items"]) else exits.OK

    return Command(name, help, run, argument=Argument())
