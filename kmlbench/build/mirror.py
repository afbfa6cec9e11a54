# SPDX-License-Identifier: MIT
"""Which Debian mirror this machine uses, read from its own apt configuration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kmlbench.errors import MachineError

APT = Path("/etc/apt")

RELEASES = frozenset(
    {"oldstable", "stable", "testing", "unstable", "sid", "bookworm", "trixie", "forky", "duke"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One line of sources.list, or one stanza of a .sources file."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]

    @property
    def is_archive(self) -> bool:
        """Whether this is Debian's main archive, not its security archive and not a third party's."""
        return "main" in self.components and not RELEASES.isdisjoint(self.suites)


def debian_mirror(apt: Path = APT) -> str:
    """The first address of Debian's archive in this machine's apt configuration.

    Raises MachineError when there is none.
    """
    for source in _sources(apt):
        if source.is_archive and source.uris:
            return source.uris[0]
    raise MachineError(
        f"no source of Debian's archive was found below {apt}, so the guest's packages have no origin",
        remedy="name one: kmlbench guest build --mirror ADDRESS",
    )


def parse_list(text: str) -> Iterator[Source]:
    """The sources of a file in the one-line format (apt's sources.list)."""
    for line in text.splitlines():
        words = _without_options(line.partition("#")[0]).split()
        if len(words) >= 3 and words[0] == "deb":
            yield Source(uris=(words[1],), suites=(words[2],), components=tuple(words[3:]))


def parse_stanzas(text: str) -> Iterator[Source]:
    """The sources of a file in the deb822 format (apt's *.sources)."""
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    for stanza in "\n".join(lines).split("\n\n"):
        fields = _fields(stanza)
        enabled = fields.get("enabled", ("yes",)) != ("no",)
        if "deb" in fields.get("types", ()) and enabled:
            yield Source(
                uris=fields.get("uris", ()),
                suites=fields.get("suites", ()),
                components=fields.get("components", ()),
            )


def _sources(apt: Path) -> Iterator[Source]:
    directory = apt / "sources.list.d"
    for path in (apt / "sources.list", *sorted(directory.glob("*.list"))):
        if path.exists():
            yield from parse_list(path.read_text())
    for path in sorted(directory.glob("*.sources")):
        yield from parse_stanzas(path.read_text())


def _without_options(line: str) -> str:
    """The line without its [option=value ...]."""
    before, bracket, rest = line.partition("[")
    return before + rest.partition("]")[2] if bracket else line


def _fields(stanza: str) -> dict[str, tuple[str, ...]]:
    """The words of each field. A line that begins with a space continues the field before it."""
    fields: dict[str, tuple[str, ...]] = {}
    name = ""
    for line in stanza.splitlines():
        if line[:1].isspace():
            fields[name] = (*fields.get(name, ()), *line.split())
        else:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = tuple(value.split())
    return fields
