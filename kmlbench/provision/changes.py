# SPDX-License-Identifier: MIT
"""What an SSH host lacks for a campaign, and the changes that would be made. Pure: does nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from kmlbench.model import Kernel, Prefix, Server
from kmlbench.provision.manifest import BASE, Manifest
from kmlbench.provision.payload import DATA, MODES, PACKAGES, Belongings, Copied, Item, Sent
from kmlbench.provision.remote_files import Seen

ANOTHER = "add an archive that has it to its apt, or install the program by hand"

# Debian has MySQL in sid alone, Ubuntu in every release.
ELSEWHERE = {
    Server.MYSQL: "add MySQL's own archive (https://dev.mysql.com/downloads/repo/apt/), or measure "
    "with server: mariadb"
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """Something that a campaign needs and the host lacks, with a remedy."""

    what: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostState:
    """The state of a host: what we installed, and what is at the paths that matter."""

    manifest: Manifest | None
    seen: Mapping[str, Seen]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What is missing, in the order of installation. `initialise`: the pristine data of the server."""

    directories: tuple[str, ...]
    items: tuple[Item, ...]
    initialise: bool

    @property
    def lines(self) -> tuple[str, ...]:
        """One line for each change."""
        return (
            *(f"make the directory {path} ({mode(path)})" for path in self.directories),
            *(_describe(item) for item in self.items),
            *((f"initialise the server's data in {DATA}",) if self.initialise else ()),
        )


def mode(directory: str) -> str:
    """The mode with which a directory of ours is created."""
    return MODES.get(directory, "0755")


def planned_changes(wanted: Belongings, state: HostState) -> Changes:
    """The changes after which everything that is wanted is installed."""
    missing = tuple(path for path in wanted.directories if path not in state.seen)
    items = tuple(
        item for item in wanted.items if _content(item, wanted, state) != _current(item.path, state)
    )
    return Changes(directories=missing, items=items, initialise=DATA not in state.seen)


def missing_packages(wanted: Belongings, state: HostState) -> tuple[str, ...]:
    """Debian's names of the packages whose files are missing."""
    return tuple(dict.fromkeys(_package(source) for source in _missing(wanted, state)))


def lacks(
    wanted: Belongings, state: HostState, unavailable: Collection[str] = frozenset()
) -> tuple[Lack, ...]:
    """What blocks preparing the host and `prepare` cannot fix; its apt lacks what is `unavailable`."""
    return (*_packages(wanted, state, unavailable), *_writable(wanted, state), *_conflicts(wanted, state))


def proof_lacks(kernel: Kernel, prefix: Prefix, level: int, log: str) -> Lack | None:
    """What is wrong if a program below `prefix` runs at this privilege level; `log` is KML's last message."""
    wanted = 0 if (kernel, prefix) == (Kernel.KML, Prefix.TRUSTED) else 3
    if level == wanted:
        return None
    what = f"a program below {prefix} runs at CPL {level}, not {wanted}"
    reason = f"; the kernel says: {log}" if log else ""
    if wanted == 0:
        remedy = (
            "arm it: kernel_mode_linux=on on the kernel's command line, or sysctl kernel.kernel_mode_linux=1"
        )
    else:
        remedy = f"boot the {kernel} kernel: this one runs programs in kernel mode"
    return Lack(what=f"{what}{reason}", remedy=remedy)


def _describe(item: Item) -> str:
    match item:
        case Sent():
            return f"install {item.path}"
        case Copied():
            return f"copy {item.source} to {item.path}"


def _content(item: Item, wanted: Belongings, state: HostState) -> str:
    """The SHA-256 that the file should have; empty if its source is missing."""
    if isinstance(item, Sent):
        return item.sha256
    sent = {other.path: other.sha256 for other in wanted.items if isinstance(other, Sent)}
    return sent.get(item.source) or _current(item.source, state)


def _current(path: str, state: HostState) -> str:
    """The SHA-256 that the file has; empty if there is none."""
    return state.seen[path].sha256 if path in state.seen else ""


def _missing(wanted: Belongings, state: HostState) -> list[str]:
    return [source for source in wanted.sources if not _current(source, state)]


def _package(source: str) -> str:
    return PACKAGES.get(source.removeprefix(f"{Prefix.USR}/"), "coreutils")


def _packages(wanted: Belongings, state: HostState, unavailable: Collection[str]) -> Iterable[Lack]:
    for source in _missing(wanted, state):
        package = _package(source)
        remedy = f"apt-get install {package}"
        if package in unavailable:
            remedy = f"its distribution has no package {package}: {ELSEWHERE.get(wanted.server, ANOTHER)}"
        yield Lack(what=f"{source} is missing", remedy=remedy)


def _writable(wanted: Belongings, state: HostState) -> Iterable[Lack]:
    for path in wanted.directories:
        seen = state.seen.get(path)
        if seen is None:
            continue
        if not seen.is_directory:
            yield Lack(what=f"{path} is not a directory", remedy="move it away")
        elif seen.owner != "root" or seen.others_write:
            what = f"{path} belongs to {seen.owner}, mode {seen.mode & 0o7777:04o}: others can modify it"
            yield Lack(what=what, remedy=f"chown root {path}; chmod go-w {path}")


def _conflicts(wanted: Belongings, state: HostState) -> Iterable[Lack]:
    own = state.manifest.files if state.manifest else {}
    for item in wanted.items:
        seen = state.seen.get(item.path)
        if seen is None or (
            seen.is_file and seen.sha256 in (_content(item, wanted, state), own.get(item.path))
        ):
            continue
        what = f"{item.path} exists and is neither what was installed nor what would be"
        yield Lack(what=what, remedy="inspect it, and move it away")
    if state.manifest and state.manifest.server is not wanted.server and DATA in state.seen:
        what = f"{BASE} was prepared for {state.manifest.server}, not for {wanted.server}"
        yield Lack(what=what, remedy="run kmlbench host clean, then prepare it again")
