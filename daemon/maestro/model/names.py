"""Names of units and of their files: "researcher", "worker@eu", "default.target"; and systemd's escaping.

An agent goes by its bare name, every other kind carries its suffix.
"""

from __future__ import annotations

import re

from msgspec import Struct

from maestro.model.plain import Mistake, shorten

KINDS = ("agent", "target", "slice")
LATER = ("timer",)  # planned; named here so that the message can say so
FOREIGN = ("service", "socket", "path", "mount", "automount", "swap", "device", "scope")  # systemd's own
LONGEST = 200  # so that a file name of 255 bytes has room for suffixes
SUFFIX = ".yaml"

_CHARACTERS = re.compile(r"[A-Za-z0-9:_.\\@-]+")
_PLAIN_BYTES = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:_.")
_ESCAPED = re.compile(r"\\x([0-9A-Fa-f]{2})|(\\)|(-)")


class UnitName(Struct, frozen=True, gc=False):
    """A unit's name in its parts. `instance` is None without an "@", and empty for a template."""

    prefix: str
    instance: str | None
    kind: str

    @property
    def bare(self) -> str:
        """Without a suffix: "worker@eu"."""
        return self.prefix if self.instance is None else f"{self.prefix}@{self.instance}"

    @property
    def full(self) -> str:
        """As everyone calls it: "worker@eu", "default.target"."""
        return self.bare if self.kind == "agent" else f"{self.bare}.{self.kind}"

    @property
    def file(self) -> str:
        return f"{self.bare}.{self.kind}{SUFFIX}"

    @property
    def is_template(self) -> bool:
        return self.instance == ""

    @property
    def template(self) -> UnitName | None:
        """The template that this would be an instance of."""
        return UnitName(self.prefix, "", self.kind) if self.instance else None

    @property
    def files(self) -> tuple[str, ...]:
        """The files that can make it, first choice first: its own, its template's."""
        return (self.file, self.template.file) if self.template is not None else (self.file,)

    @property
    def parents(self) -> tuple[UnitName, ...]:
        """The slices that a slice lies in, the outermost first: "a-b-c.slice" is in "a-b.slice", which is in "a.slice"."""
        parts = self.prefix.split("-") if self.kind == "slice" else []
        return tuple(UnitName("-".join(parts[:count]), None, "slice") for count in range(1, len(parts)))

    @property
    def folders(self) -> tuple[str, ...]:
        """The directories of drop-ins that are for it, the most general first."""
        return (f"{self.kind}.d", *(f"{file}.d" for file in reversed(self.files)))

    def with_instance(self, instance: str) -> UnitName:
        return UnitName(self.prefix, instance, self.kind)


def split(text: str) -> UnitName:
    """The parts of a unit's name; a `Mistake` when it is none. Templates pass."""
    _check_characters(text)
    if text.endswith((SUFFIX, ".yml")):
        raise Mistake(f"{shorten(text)} is a file, not a unit", f"write {_without_suffixes(text)}")
    bare, dot, suffix = text.rpartition(".")
    if dot and suffix in KINDS:
        return _parts(bare, suffix)
    if dot and suffix in LATER + FOREIGN:
        raise _unsupported(text, suffix)
    return _parts(text, "agent")


def split_file(text: str) -> UnitName:
    """The parts of a unit file's name."""
    _check_characters(text)
    if not text.endswith(SUFFIX):
        raise Mistake(f"{shorten(text)} is not the name of a unit file", "call it NAME.agent.yaml")
    bare, dot, kind = text.removesuffix(SUFFIX).rpartition(".")
    if not dot:
        raise Mistake(f"{shorten(text)} does not say what kind of unit it is", f"call it {kind}.agent.yaml")
    if kind not in KINDS:
        raise _unsupported(text, kind)
    return _parts(bare, kind)


def _parts(bare: str, kind: str) -> UnitName:
    prefix, at, instance = bare.partition("@")
    if not prefix:
        raise Mistake(f"{shorten(bare)} has no name before the '@'" if at else "a name is empty")
    tail = bare.rpartition(".")[2] if "." in bare else ""
    if tail in KINDS + LATER + FOREIGN:
        # "a.target" must not mean two units: the target a, and an agent whose file is a.target.agent.yaml.
        raise Mistake(f"an {kind}'s name may not end in '.{tail}'", "choose another name")
    if kind == "slice" and not all(prefix.split("-")):
        raise Mistake(
            f"in {shorten(f'{bare}.slice')} a dash has nothing on one side",
            "each dash of a slice's name means one level: tenants-acme.slice is in tenants.slice",
        )
    return UnitName(prefix, instance if at else None, kind)


def _check_characters(text: str) -> None:
    if not text:
        raise Mistake("the name is empty", "write the name of a unit")
    if len(text) > LONGEST:
        raise Mistake(f"the name {shorten(text, 30)} has {len(text)} characters: {LONGEST} are allowed")
    if text in (".", ".."):
        raise Mistake(f"{shorten(text)} is a directory, not a name")
    if text[0] in ".-":
        raise Mistake(
            f"the name {shorten(text)} begins with {shorten(text[0])}", "begin it with a letter or a digit"
        )
    if not _CHARACTERS.fullmatch(text):
        bad = next(c for c in text if not _CHARACTERS.fullmatch(c))
        raise Mistake(
            f"the name {shorten(text)} contains {_described(bad)}",
            "allowed are letters, digits and :_.\\@-; `systemd-escape` writes other characters as \\xHH",
        )


def _described(character: str) -> str:
    return shorten(character) if character.isprintable() else f"the control character U+{ord(character):04X}"


def _unsupported(text: str, kind: str) -> Mistake:
    if kind in FOREIGN:
        bare = text.removesuffix(SUFFIX).removesuffix(f".{kind}")
        return Mistake(
            f"{shorten(text)} is a kind of unit that only systemd has",
            f"an agent goes by its bare name: {bare}",
        )
    return Mistake(
        f"kind {shorten(kind)} is not supported yet by this version",
        f"it knows {', '.join(KINDS[:-1])} and {KINDS[-1]}",
    )


def _without_suffixes(text: str) -> str:
    return text.removesuffix(".yml").removesuffix(SUFFIX).removesuffix(".agent")


def escape(text: str) -> str:
    """As `systemd-escape`: "/" becomes "-"; \\xHH all but letters, digits and :_., and a leading dot."""
    shown = []
    for place, byte in enumerate(text.encode("utf-8", "surrogateescape")):
        if byte == ord("/"):
            shown.append("-")
        elif byte in _PLAIN_BYTES and not (place == 0 and byte == ord(".")):
            shown.append(chr(byte))
        else:
            shown.append(f"\\x{byte:02x}")
    return "".join(shown)


def unescape(text: str) -> str:
    """As `systemd-escape --unescape`."""

    def one(match: re.Match[str]) -> str:
        if match[2]:
            raise Mistake(f"{shorten(text)} contains a '\\' that begins no escape", "write it as \\x5c")
        return "/" if match[3] else chr(int(match[1], 16))

    # Characters that came in as such go through as their bytes, so that both kinds meet as one byte string.
    as_bytes = text.encode("utf-8", "surrogateescape").decode("latin-1")
    try:
        plain = _ESCAPED.sub(one, as_bytes).encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        raise Mistake(f"{shorten(text)} does not unescape to UTF-8") from None
    if "\0" in plain:
        raise Mistake(f"{shorten(text)} contains a NUL character")
    return plain
