# SPDX-License-Identifier: MIT
"""What an SSH host lacks for a campaign, and the changes that would be made. Pure: does nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kmlbench.model import Kernel, Prefix
from kmlbench.provision.manifest import BASE, Manifest
from kmlbench.provision.payload import DATA, MODES, PACKAGES, Belongings, Copied, Item, Sent
from kmlbench.provision.remote_files import Seen

FREE_MIB = 512


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
            *(_told(item) for item in self.items),
            *((f"initialise the server's data in {DATA}",) if self.initialise else ()),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What a host reports besides files. `free_mib` is the space below /run, in MiB."""

    has_server_user: bool
    has_pymysql: bool
    free_mib: int | None


def mode(directory: str) -> str:
    """The mode with which a directory of ours is created."""
    return MODES.get(directory, "0755")


def planned_changes(wanted: Belongings, state: HostState) -> Changes:
    """The changes after which everything that is wanted is installed."""
    missing = tuple(path for path in wanted.directories if path not in state.seen)
    items = tuple(item for item in wanted.items if _content(item, wanted, state) != _found(item.path, state))
    return Changes(directories=missing, items=items, initialise=DATA not in state.seen)


def lacks(wanted: Belongings, state: HostState) -> tuple[Lack, ...]:
    """What blocks preparing the host and prepare cannot fix."""
    return (*_packages(wanted, state), *_writable(wanted, state), *_in_the_way(wanted, state))


def conditions_lacking(found: Conditions) -> tuple[Lack, ...]:
    """What else a campaign needs on the host."""
    listed = []
    if not found.has_server_user:
        what = "there is no user mysql to run the server as"
        listed.append(Lack(what=what, remedy="adduser --system --group --no-create-home mysql"))
    if not found.has_pymysql:
        what = "/usr/bin/python3 has no pymysql, which the second client needs"
        listed.append(Lack(what=what, remedy="apt-get install python3-pymysql"))
    if found.free_mib is not None and found.free_mib < FREE_MIB:
        what = f"/run has {found.free_mib} MiB free; the server's data needs {FREE_MIB} MiB there"
        listed.append(Lack(what=what, remedy="mount -o remount,size=2G /run"))
    return tuple(listed)


def proof_lacks(kernel: Kernel, prefix: Prefix, level: int, log: str) -> Lack | None:
    """What is wrong if a program below `prefix` runs at this privilege level; `log` is KML's last message."""
    wanted = 0 if (kernel, prefix) == (Kernel.KML, Prefix.TRUSTED) else 3
    if level == wanted:
        return None
    what = f"a program below {prefix} runs at CPL {level}, not {wanted}"
    said = f"; the kernel says: {log}" if log else ""
    if wanted == 0:
        remedy = (
            "arm it: kernel_mode_linux=on on the kernel's command line, or sysctl kernel.kernel_mode_linux=1"
        )
    else:
        remedy = f"boot the {kernel} kernel: this one runs programs in kernel mode"
    return Lack(what=f"{what}{said}", remedy=remedy)


def _told(item: Item) -> str:
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
    return sent.get(item.source) or _found(item.source, state)


def _found(path: str, state: HostState) -> str:
    return state.seen[path].sha256 if path in state.seen else ""


def _packages(wanted: Belongings, state: HostState) -> Iterable[Lack]:
    missing = [source for source in wanted.sources if not _found(source, state)]
    for source in missing:
        package = PACKAGES.get(source.removeprefix(f"{Prefix.USR}/"), "coreutils")
        yield Lack(what=f"{source} is missing", remedy=f"apt-get install {package}")


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


def _in_the_way(wanted: Belongings, state: HostState) -> Iterable[Lack]:
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
