# SPDX-License-Identifier: MIT
"""The Debian mirror that this machine's apt uses, and the keys that its indices are signed with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kmlbench import process
from kmlbench.errors import MachineError
from kmlbench.paths import setup_remedy

# One line for each index that apt has fetched: an entry that is disabled, or that has only sources, has none.
# Origin and Label are those that the archive's signed Release file states.
FIELDS = ("CREATED_BY", "ORIGIN", "LABEL", "CODENAME", "COMPONENT", "REPO_URI")

ARGV = ("apt-get", "indextargets", "--format", "|".join(f"$({field})" for field in FIELDS))

# A third-party archive has another Origin; the security archive and the backports have another Label.
ARCHIVE = ("Packages", "Debian", "Debian")

TIMEOUT_S = 60.0

NO_ORIGIN = "so Debian's packages have no origin"

REMEDY = (
    "run `apt-get update`, or name a mirror to `kmlbench guest build` or `kmlbench kernel build`: "
    "--mirror https://deb.debian.org/debian"
)

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def debian_mirror() -> str:
    """The first address of Debian's archive in this machine's apt.

    Raises MachineError when there is none.
    """
    try:
        listing = process.run(ARGV, timeout_s=TIMEOUT_S)
    except MachineError as error:
        raise MachineError(f"{error.args[0]}, {NO_ORIGIN}", remedy=REMEDY) from error
    if listing.returncode != 0:
        cause = listing.stderr.strip().splitlines()
        raise MachineError(f"apt cannot list its sources ({''.join(cause[:1])}), {NO_ORIGIN}", remedy=REMEDY)
    for address in archives(listing.stdout):
        return address
    raise MachineError(f"apt has no index of Debian's archive, {NO_ORIGIN}", remedy=REMEDY)


def archives(listing: str) -> Iterator[str]:
    """The addresses of Debian's main archive in what ARGV prints; a disc lacks what the guest needs."""
    for line in listing.splitlines():
        *archive, codename, component, address = line.split("|")
        # trixie is the archive; trixie-updates is what is added to it, and may be alone on a mirror.
        whole = component == "main" and "-" not in codename
        if whole and tuple(archive) == ARCHIVE and not address.startswith("cdrom:"):
            yield address.rstrip("/")


def require_keyring() -> None:
    """Raises MachineError if this machine lacks the keys of Debian's archive."""
    if not KEYRING.exists():
        raise MachineError(f"{KEYRING} is missing", remedy=setup_remedy())
