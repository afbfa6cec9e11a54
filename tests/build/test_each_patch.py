# SPDX-License-Identifier: MIT
"""After each patch of a series the kernel builds without a warning and boots, and programs run as before."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.paths import REPOSITORY

from kmlbench import process
from kmlbench.build import kernel as builder
from kmlbench.build import source
from kmlbench.build.bases import Base
from kmlbench.build.cache import Cache
from kmlbench.build.kernel import Tree
from kmlbench.process import QEMU
from kmlbench.progress import Silent

DATA = REPOSITORY / "tests/data/kernel"

# The program is init, and the others that it runs; the kernel's build packs them. Anybody may write to
# the root directory of a tmpfs, so nothing below it would be trusted.
FILES = """\
dir /. 755 0 0
dir /dev 755 0 0
nod /dev/console 600 0 0 c 5 1
dir /proc 755 0 0
dir /bin 755 0 0
dir /trusted 755 0 0
file /init {program} 755 0 0
file /bin/work {program} 755 0 0
file /trusted/work {program} 755 0 0
"""

KERNEL_COMMAND_LINE = "console=ttyS0 kernel_mode_linux=on panic=-1 reboot=t"
BOOT_LIMIT_S = 120.0
SERIES_LIMIT_S = 4 * 3600

PROGRAMS = ["/bin/work", "/trusted/work", "/bin/work", "init"]
DONE = re.compile(r"^(\S+): done(?:, KernelMode (.))?\r?$", re.MULTILINE)
COMPLAINTS = re.compile(r"^.*(?:BUG:|WARNING:|Oops|Kernel panic|UBSAN).*$", re.MULTILINE)


def with_program(tree: Tree, directory: Path) -> Path:
    """The configuration of a kernel that has the program; the tree has no patch yet."""
    program, listed, wanted = (directory / name for name in ("program", "files", "wanted.config"))
    compiler = ("cc", "-O2", "-static", "-pthread", "-Wall", "-Wextra", "-Werror", "-o", str(program))
    process.check((*compiler, str(DATA / "init.c")), timeout_s=60.0)
    listed.write_text(FILES.format(program=program))
    initial = f'CONFIG_INITRAMFS_SOURCE="{listed}"\n'
    wanted.write_text((DATA / "small.config").read_text() + initial)
    tree.objects.mkdir()
    return wanted


def build(tree: Tree, wanted: Path) -> Path:
    """The image of the tree as it is. What the build said is in the log of the tree alone."""
    tree.log.unlink(missing_ok=True)
    builder.make(tree, builder.CONFIGURATION, jobs=1, variables={"KCONFIG_ALLCONFIG": str(wanted)})
    builder.make(tree, "bzImage", jobs=2)
    return tree.objects / "arch/x86/boot/bzImage"


def boot(image: Path, *, cpus: int) -> str:
    """What the console says until the machine restarts."""
    machine = ("-cpu", "max", "-m", "512", "-smp", str(cpus), "-nographic", "-no-reboot")
    argv = (QEMU, *machine, "-kernel", str(image), "-append", KERNEL_COMMAND_LINE)
    return process.check(argv, timeout_s=BOOT_LIMIT_S).stdout


@pytest.mark.soak
@pytest.mark.timeout(SERIES_LIMIT_S)
@pytest.mark.parametrize("base", list(Base))
def test_each_patch_builds_and_boots_alone(base: Base, cache: Cache, tmp_path: Path) -> None:
    archive = source.ensure(base, cache=cache, progress=Silent())
    place = source.unpack(archive, tmp_path)
    tree = Tree(source=place, objects=tmp_path / "objects", log=tmp_path / "build.log")
    wanted = with_program(tree, tmp_path)
    trusted = ["-"]
    for patch in base.patches():
        builder.apply([patch], tree.source, name=source.version(base))
        image = build(tree, wanted)
        assert "warning:" not in tree.log.read_text(), patch.name
        assert "CONFIG_KERNEL_MODE_LINUX=y" in (tree.objects / ".config").read_text()
        for cpus in (1, 2):
            console = boot(image, cpus=cpus)
            assert not COMPLAINTS.findall(console), (patch.name, console)
            said = DONE.findall(console)
            assert [who for who, _ in said] == PROGRAMS, (patch.name, console)
            trusted.append(said[1][1])
    # Once programs below /trusted start in kernel mode, no later patch ends that.
    assert trusted == sorted(trusted)
    assert trusted[-1] == "1"
