"""list-dependencies and graph."""

from __future__ import annotations

import json
import re

import pytest

from maestro.cli.render import graphs
from maestro.control import protocol as p
from maestro.engine.relations import RELATIONS
from tests.cli.conftest import Ctl
from tests.control.fake import Served

STATES = {"default.target": "active", "web": "active", "db": "failed", "sub.target": "inactive"}


def linked(*said: str, order: tuple[str, ...] = (), named: tuple[str, ...] = ()) -> p.LinksView:
    """`a requires b`, and `a before b`."""
    links = [p.LinkView(by=by, option=option, other=other) for by, option, other in map(str.split, said)]
    edges = [
        p.OrderView(first=first, second=second, option="after", phase=(*phase, "ready")[0])
        for first, _, second, *phase in map(str.split, order)
    ]
    names = {name for link in links for name in (link.by, link.other)} | set(named)
    names |= {name for edge in edges for name in (edge.first, edge.second)}
    units = tuple(
        p.NodeView(
            name=name,
            load="missing" if name == "ghost" else "loaded",
            state=STATES.get(name, "inactive"),
        )
        for name in sorted(names)
    )
    return p.LinksView(named=named, units=units, links=tuple(links), order=tuple(edges))


SAID = (
    "default.target wants web",
    "default.target requires sub.target",
    "sub.target wants default.target",
    "web requires db",
    "web wants ghost",
    "part part_of web",
    "web conflicts other",
)


@pytest.fixture
def house(served: Served) -> Served:
    served.service.linked = linked(*SAID, named=("default.target",))
    return served


def test_a_tree_takes_targets_apart_and_ends_in_circles(ctl: Ctl, house: Served) -> None:
    assert ctl("list-dependencies").out.splitlines() == [
        "● default.target",
        "○ ├─sub.target",
        "● │ └─default.target (circle)",
        "● └─web",
    ]
    assert house.service.asked[-1][1] == p.Links(units=("default.target",))


def test_all_takes_every_unit_apart(ctl: Ctl, house: Served) -> None:
    assert ctl("list-dependencies", "--all").out.splitlines() == [
        "● default.target",
        "○ ├─sub.target",
        "● │ └─default.target (circle)",
        "● └─web",
        "×   ├─db",
        "○   ├─ghost (there is no such unit)",
        "○   └─part",
    ]


def test_reverse(ctl: Ctl, house: Served) -> None:
    house.service.linked = linked(*SAID, named=("db", "part"))
    assert ctl("list-dependencies", "--reverse", "--all", "db", "part").out.splitlines() == [
        "× db",
        "● └─web",
        "●   └─default.target",
        "○     └─sub.target",
        "●       └─default.target (circle)",
        "",
        "○ part",
        "● └─web",
        "●   └─default.target",
        "○     └─sub.target",
        "●       └─default.target (circle)",
    ]


@pytest.mark.parametrize(("option", "lines"), [("--after", ["b", "a"]), ("--before", ["b", "c"])])
def test_the_order(ctl: Ctl, served: Served, option: str, lines: list[str]) -> None:
    served.service.linked = linked(order=("a before b", "b before c"), named=("b",))
    assert ctl("list-dependencies", "b", option, "--plain").out.splitlines() == lines


def test_a_unit_is_taken_apart_once(ctl: Ctl, served: Served) -> None:
    """Else a ladder of diamonds has more lines than there are atoms."""
    rungs = [f"u{n} requires {side}{n}" for n in range(60) for side in "lr"]
    rungs += [f"{side}{n} requires u{n + 1}" for n in range(60) for side in "lr"]
    served.service.linked = linked(*rungs, named=("u0",))
    out = ctl("list-dependencies", "--all", "u0").out.splitlines()
    assert len(out) == 1 + 4 * 60
    assert out[-1] == "○   └─u1 (above)"


def test_a_long_chain(ctl: Ctl, served: Served) -> None:
    served.service.linked = linked(*(f"u{n} requires u{n + 1}" for n in range(3000)), named=("u0",))
    assert len(ctl("list-dependencies", "--all", "u0").out.splitlines()) == 3001
    assert (
        len(json.loads(ctl("list-dependencies", "--all", "u0", "-o", "json").out)["trees"][0]["rows"]) == 3001
    )


def test_the_tree_in_json(ctl: Ctl, house: Served) -> None:
    view = json.loads(ctl("list-dependencies", "--json").out)
    assert (view["schema"], view["which"], view["errors"]) == (1, "requirement", {})
    [tree] = view["trees"]
    assert tree["name"] == "default.target"
    assert [(row["depth"], row["parent"], row["name"], row["mark"]) for row in tree["rows"]] == [
        (0, "", "default.target", ""),
        (1, "default.target", "sub.target", ""),
        (2, "sub.target", "default.target", "circle"),
        (1, "default.target", "web", ""),
    ]
    assert tree["rows"][3]["state"] == "active"


def test_two_directions_at_once_make_no_sense(ctl: Ctl) -> None:
    said = ctl("list-dependencies", "--after", "--before")
    assert said.code == 2
    assert "--after and --before are two different questions" in said.err


def test_a_unit_that_there_is_not(ctl: Ctl, served: Served) -> None:
    missing = p.ErrorView(code="no-such-unit", message="no unit nope")
    served.service.linked = p.LinksView(named=(), units=(), links=(), order=(), errors={"nope": missing})
    for command in ("list-dependencies", "graph"):
        said = ctl(command, "nope")
        assert (said.code, said.err) == (4, "maestroctl: no unit nope\n")


# ------------------------------------------------------------------------------------------- graph


def test_each_kind_of_dependency_has_its_own_colour() -> None:
    assert set(graphs.COLORS) == {*RELATIONS, "slice", *graphs.ORDER.values()}
    assert len(set(graphs.COLORS.values())) == len(graphs.COLORS)


def test_dot(ctl: Ctl, served: Served) -> None:
    served.service.linked = linked("web requires db", "a wants b", order=("db before web",), named=("web",))
    assert ctl("graph", "web").out == (
        "digraph maestro {\n"
        "    // after: green\n"
        "    // requires: black\n"
        '    "web" -> "db" [color="green", tooltip="after"];\n'
        '    "web" -> "db" [color="black", tooltip="requires"];\n'
        "}\n"
    )
    assert "requires" not in ctl("graph", "web", "--order").out
    assert "after" not in ctl("graph", "web", "--requirement").out


def test_what_waits_for_a_start_only_is_shown_so(ctl: Ctl, served: Served) -> None:
    order = ("db before web started", "log before web")
    served.service.linked = linked(order=order, named=("web",))
    assert '"web" -> "db" [color="limegreen", tooltip="after started"];' in ctl("graph").out
    tree = ctl("list-dependencies", "--after", "web").out.splitlines()
    assert [line[2:] for line in tree] == ["web", "├─db (once started)", "└─log"]
    served.service.linked = linked(order=order, named=("db",))
    assert ctl("list-dependencies", "--before", "db").out.splitlines()[1][2:] == "└─web (once started)"


def test_mermaid(ctl: Ctl, served: Served) -> None:
    served.service.linked = linked("web requires db", "end wants web", order=("db before web",))
    assert ctl("graph", "--format", "mermaid").out == (
        "flowchart LR\n"
        '    n0["end"]\n    n1["web"]\n    n2["db"]\n'
        "    n0 -->|wants| n1\n    n1 -->|after| n2\n    n1 -->|requires| n2\n"
        "    linkStyle 1 stroke:green\n    linkStyle 2 stroke:#555555\n    linkStyle 0 stroke:#a8a8a8\n"
    )


def test_names_are_quoted() -> None:
    odd = 'a"\\b'
    text = graphs.dot([(odd, "c-d@e.f", "wants")], [odd])
    names = re.findall(r'"(?:[^"\\]|\\.)*"', text)
    assert names[:3] == ['"a\\"\\\\b"', '"a\\"\\\\b"', '"c-d@e.f"']
    assert '["a#quot;#35;<b"]'.replace("<", "#lt;") in graphs.mermaid([], ['a"#<b'])


def test_a_unit_that_nothing_touches_is_in_the_graph(ctl: Ctl, served: Served) -> None:
    served.service.linked = linked("a wants b", named=("alone",))
    assert ctl("graph", "alone").out == 'digraph maestro {\n    "alone";\n}\n'


def test_the_graph_in_json(ctl: Ctl, served: Served) -> None:
    served.service.linked = linked("web requires db", order=("db before web",))
    view = json.loads(ctl("graph", "-o", "json").out)
    assert view["links"] == [
        {"from": "web", "to": "db", "kind": "after"},
        {"from": "web", "to": "db", "kind": "requires"},
    ]
    assert [unit["name"] for unit in view["units"]] == ["db", "web"]
