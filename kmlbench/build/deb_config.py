# SPDX-License-Identifier: MIT
"""How a user's kernel configuration is changed to build the pair, and why. Pure."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from kmlbench import kconfig
from kmlbench.build.bases import Base
from kmlbench.errors import BuildError, InputError
from kmlbench.model import Kernel

NAME = "CONFIG_LOCALVERSION"

SWITCH = "CONFIG_KERNEL_MODE_LINUX"

SIGNING_KEY = "CONFIG_MODULE_SIG_KEY"

KEYS = ("CONFIG_SYSTEM_TRUSTED_KEYS", "CONFIG_SYSTEM_REVOCATION_KEYS", SIGNING_KEY)

# The build creates it.
OWN_KEY = "certs/signing_key.pem"

# A build in any directory can read keys whose names start so: its own, absolute names, those of a token.
_KEYS_ANYWHERE = (OWN_KEY, "/", "pkcs11:")

# Kconfig derives these from the installed tools.
_TOOLS = re.compile(
    r"CONFIG_(CC|GCC|LD|LLD|AS|CLANG|RUSTC?|BINDGEN|PAHOLE|TOOLS)_(HAS|IS|VERSION|CAN|SUPPORTS|NO|LLVM)\w*"
    r"|CONFIG_(GCC|HAVE|ARCH|PLUGIN)_\w+|CONFIG_(CLANG|LLD)_VERSION"
)

_OPENERS = {b"\x1f\x8b": gzip.decompress, b"\xfd7": lzma.decompress, b"BZ": bz2.decompress}


class Cause(StrEnum):
    """Why an option differs from the user's configuration."""

    PAIR = "the name of this kernel of the pair"
    REQUIRED = "KERNEL_MODE_LINUX requires it, and both kernels of a pair get the same"
    KEYS = "it names a file of another build; modules are signed with this build's key"
    FOLLOWS = "it depends on an option that was changed"
    SOURCE = "it differs in this source or with this machine's compiler"


_COUNTED = (Cause.FOLLOWS, Cause.SOURCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One option that differs from the user's configuration; absent is "n"."""

    name: str
    before: str
    after: str
    cause: Cause

    def __str__(self) -> str:
        return f"{self.name}: {self.before} -> {self.after} ({self.cause})"


def read_configuration(path: Path) -> str:
    """The text of a kernel configuration, plain or compressed.

    Raises InputError when there is no such file, or when it is not the configuration of an x86-64 kernel.
    """
    try:
        content = path.read_bytes()
        text = _OPENERS.get(content[:2], bytes)(content).decode()
    except (OSError, EOFError, ValueError, lzma.LZMAError) as error:
        raise InputError(f"{path} cannot be read: {error}", remedy="name a kernel configuration") from error
    if kconfig.parse_options(text).get("CONFIG_X86_64") != "y":
        raise InputError(
            f"{path} is not the configuration of an x86-64 kernel (it lacks CONFIG_X86_64=y)",
            remedy="name one, such as /boot/config-$(uname -r), or use `lean`",
        )
    return text


def settings(base: Base, kernel: Kernel, configuration: Mapping[str, str]) -> dict[str, str]:
    """What overrides the user's configuration for this kernel of the pair."""
    wanted = {**base.required(), **_keys(configuration), "CONFIG_LOCALVERSION_AUTO": "n"}
    wanted[NAME] = f'"-kmlbench-{kernel}"'
    if kernel is Kernel.KML:
        wanted[SWITCH] = "y"
    return wanted


def fragment(wanted: Mapping[str, str]) -> str:
    """Options in the syntax of a kernel configuration."""
    return "".join(f"{name}={value}\n" for name, value in wanted.items())


def configuration_changes(
    user: Mapping[str, str], adopted: Mapping[str, str], built: Mapping[str, str], wanted: Mapping[str, str]
) -> tuple[Change, ...]:
    """Every option that differs between the user's configuration and the built one, by cause.

    `adopted` is the user's configuration as completed by this source before anything overrides it,
    `wanted` the overrides. An option that the user's configuration does not name is not a change,
    unless an override set it.
    """
    changes = []
    for name in kconfig.differences(user, built):
        cause = _cause(name, adopted, built, wanted)
        if _TOOLS.fullmatch(name) or (cause is Cause.SOURCE and name not in user):
            continue
        changes.append(Change(name=name, before=user.get(name, "n"), after=built.get(name, "n"), cause=cause))
    return tuple(sorted(changes, key=lambda change: (list(Cause).index(change.cause), change.name)))


def require_settings(wanted: Mapping[str, str], built: Mapping[str, str]) -> None:
    """Raises BuildError naming each option that something else in the configuration overrides."""
    if missing := kconfig.lost_options(wanted, built):
        raise BuildError(
            "the configuration does not allow what Kernel Mode Linux needs:\n  " + "\n  ".join(missing),
            remedy="find what selects the option or what it depends on, and change that",
        )


def summary(changes: Sequence[Change]) -> tuple[str, ...]:
    """Changes as text, shortened: each override, and the number of the others."""
    shown = [str(change) for change in changes if change.cause not in _COUNTED]
    for cause in _COUNTED:
        if count := sum(change.cause is cause for change in changes):
            shown.append(f"{count} more: {cause}")
    return tuple(shown)


def _keys(configuration: Mapping[str, str]) -> dict[str, str]:
    """A distributor's keys and certificates are files of the distributor's own build."""
    named = {name: configuration.get(name, "").strip('"') for name in KEYS}
    foreign = {name for name, file in named.items() if file and not file.startswith(_KEYS_ANYWHERE)}
    return {name: f'"{OWN_KEY}"' if name == SIGNING_KEY else '""' for name in KEYS if name in foreign}


def _cause(
    name: str, adopted: Mapping[str, str], built: Mapping[str, str], wanted: Mapping[str, str]
) -> Cause:
    if name in {NAME, SWITCH, "CONFIG_LOCALVERSION_AUTO"}:
        return Cause.PAIR
    if name in KEYS and name in wanted:
        return Cause.KEYS
    if adopted.get(name, "n") == built.get(name, "n"):
        return Cause.SOURCE
    return Cause.REQUIRED if name in wanted else Cause.FOLLOWS
