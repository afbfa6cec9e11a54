# SPDX-License-Identifier: MIT
"""Which Debian mirror this machine uses, as its own apt says."""

from __future__ import annotations

from collections.abc import Iterator

from kmlbench import process
from kmlbench.errors import MachineError

# One line for each index that apt has fetched: a source that is disabled, or gives sources only, has none.
# Origin and Label are those that the archive's signed Release file states.
FIELDS = ("CREATED_BY", "ORIGIN", "LABEL", "CODENAME", "COMPONENT", "REPO_URI")

ARGV = ("apt-get", "indextargets", "--format", "|".join(f"$({field})" for field in FIELDS))

# A browser's archive has another Origin, the security archive and the backports another Label.
ARCHIVE = ("Packages", "Debian", "Debian")

TIMEOUT_S = 60.0

NO_ORIGIN = "so the guest's packages have no origin"

REMEDY = "run `apt-get update`, or name a mirror: kmlbench guest build --mirror https://deb.debian.org/debian"


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
    """The addresses of Debian's main archive in what ARGV prints; a disc has not what the guest needs."""
    for line in listing.splitlines():
        *archive, codename, component, address = line.split("|")
        # trixie is the archive; trixie-updates is what is added to it, and may be alone on a mirror.
        whole = component == "main" and "-" not in codename
        if whole and tuple(archive) == ARCHIVE and not address.startswith("cdrom:"):
            yield address.rstrip("/")
