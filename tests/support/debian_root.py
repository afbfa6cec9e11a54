# SPDX-License-Identifier: MIT
"""A clean Debian in a directory, for tests: made by mmdebstrap, entered as the root of a mount namespace."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kmlbench import process
from kmlbench.build.mirror import ARGV, KEYRING, debian_mirror
from kmlbench.model import CommandResult
from kmlbench.process import Environment, build_environment

MADE_WITHIN_S = 3600.0

# What somebody has who clones the project.
PACKAGES = "ca-certificates,debian-archive-keyring,git,make"

# How the machine outside reaches its mirrors.
COPIED = ("etc/hosts", "etc/resolv.conf", "etc/ssl/certs/ca-certificates.crt")
PASSED_ON = ("PIP_INDEX_URL", "PIP_DEFAULT_TIMEOUT")

MAKE = (
    *("mmdebstrap", "--mode=root", "--variant=apt", "--format=directory", "--quiet"),
    *('--aptopt=Acquire::Check-Valid-Until "false"', f"--include={PACKAGES}"),
)

# Moved to / before chroot: the kernel refuses user namespaces where the root is not that of the mounts.
# Its devices are a few of this machine's, so that nothing done in there changes others.
ENTER = r"""
root=$1
shift
mount --bind "$root" "$root"
cd "$root"
mount -t tmpfs -o mode=0755 kmlbench dev
for name in null zero full random urandom tty; do
    : >"dev/$name"
    mount --bind "/dev/$name" "dev/$name"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts dev/pts
mount -t tmpfs -o mode=1777 kmlbench dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for number in 0:stdin 1:stdout 2:stderr; do
    ln -s "/proc/self/fd/${number%:*}" "dev/${number#*:}"
done
mount -t proc proc proc
mount --rbind /sys sys
mount --move . /
exec chroot . "$@"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianRoot:
    """A directory with a Debian. `prefix` runs commands as root in namespaces of their own."""

    directory: Path
    prefix: tuple[str, ...]

    def run(self, *argv: str, timeout_s: float, place: str = "/root") -> CommandResult:
        """Run a command as root of that Debian, in the directory `place`."""
        words = ("sh", "-euc", ENTER, "enter", str(self.directory), "env", f"--chdir={place}", *argv)
        return process.run((*self.prefix, *words), timeout_s=timeout_s, env=surroundings())


def surroundings() -> Environment:
    """What commands in such a Debian see of this machine's environment."""
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return build_environment({**passed, "HOME": "/root", "TMPDIR": "/tmp"})


@contextmanager
def debian_root(suite: str, directory: Path, *, prefix: tuple[str, ...]) -> Iterator[DebianRoot]:
    """A new root of this release in `directory`, taken away at the end; `prefix` as of `private_prefix`."""
    root, sources = directory / "root", directory / "sources.list"
    sources.write_text("".join(f"{line}\n" for line in source_lines(suite)))
    try:
        argv = (*prefix, *MAKE, suite, str(root), str(sources))
        process.check(argv, timeout_s=MADE_WITHIN_S, env=build_environment())
        for name in COPIED:
            shutil.copy(Path("/") / name, root / name)
        yield DebianRoot(directory=root, prefix=prefix)
    finally:
        process.check((*prefix, "rm", "--recursive", "--force", str(root)), timeout_s=MADE_WITHIN_S)


def source_lines(suite: str) -> Iterator[str]:
    """The archive, its updates and security, from the mirrors that this machine's apt uses."""
    archive = debian_mirror()
    for address, name in (
        (archive, suite),
        (archive, f"{suite}-updates"),
        (security_mirror(), f"{suite}-security"),
    ):
        yield f"deb [signed-by={KEYRING}] {address} {name} main"


def security_mirror() -> str:
    """The first address of Debian's security archive in this machine's apt; else that of Debian."""
    listing = process.check(ARGV, timeout_s=60.0).stdout
    addresses = [line.rpartition("|")[2] for line in listing.splitlines() if "|Debian-Security|" in line]
    return addresses[0].rstrip("/") if addresses else "https://security.debian.org/debian-security"
