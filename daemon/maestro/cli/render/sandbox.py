"""`maestroctl sandbox check`: what a probe found out."""

from __future__ import annotations

from maestro.cli.text import Paint, clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from maestro.cli.render.common import View

_LABEL = 24  # columns


def table(view: View, paint: Paint) -> str:
    rows = [f"{label:<{_LABEL}} {text}".rstrip() for label, text in _rows(view)]
    return "\n".join((paint("bold", clean(view["name"])), *rows)) + "\n"


def _rows(view: View) -> Iterator[tuple[str, str]]:
    yield "in force", ", ".join(view["tiers"]) or "nothing"
    yield "runs as", f"uid {view['uid']}, gid {view['gid']}, pid {view['pid']}"
    yield "own namespaces", " ".join(view["own_namespaces"]) or "none"
    yield "sees other processes", str(view["other_processes"]) if view["other_processes"] else "no"
    yield "/tmp of its own", _yes(view["private_tmp"])
    yield "can write", " ".join(view["writable"]) or "none of the usual places"
    yield "can read", " ".join(view["readable"]) or "none of the usual secrets"
    yield "devices", " ".join(map(clean, view["devices"])) or "pseudo-devices only"
    yield "loopback", _yes(view["loopback"])
    yield "network outside", _yes(view["outside"])
    yield "control socket", _yes(view["control_socket"])
    for kind in ("effective", "bounding", "ambient"):
        yield f"capabilities, {kind}", _capabilities(view[f"{kind}_capabilities"])
    yield "no new privileges", _yes(view["no_new_privileges"])
    yield "system call filter", view["seccomp"]
    yield "sandboxes inside it", _yes(view["nested_sandboxes"])


def _yes(answer: bool) -> str:
    return "yes" if answer else "no"


def _capabilities(mask: int) -> str:
    from maestro.model.confining import CAPABILITIES  # imports the model

    if not mask:
        return "none"
    lacking = [name for name, number in CAPABILITIES.items() if not mask >> number & 1]
    having = [name for name, number in CAPABILITIES.items() if mask >> number & 1]
    if len(lacking) < len(having):
        return f"all but {' '.join(lacking)}" if lacking else "all"
    return " ".join(having)
