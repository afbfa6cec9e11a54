# SPDX-License-Identifier: GPL-2.0
"""A slice of the kernel's tests that needs no image of its own: static programs of one or two files."""

from __future__ import annotations

from pathlib import Path

from kmlbench import process
from kmlbench.build import source
from kmlbench.build.bases import DEFAULT
from kmlbench.build.cache import Cache, hash_files
from kmlbench.progress import Silent

COMPILE = ("gcc", "-O2", "-g", "-std=gnu99", "-D_GNU_SOURCE", "-pthread", "-static", "-w")
COMPILE_TIMEOUT_S = 120.0
UNPACK_TIMEOUT_S = 300.0
# Each with its files, relative to tools/testing/selftests; the first names the program.
PROGRAMS = (
    ("x86/corrupt_xstate_header.c",),
    ("x86/fsgsbase.c",),
    ("x86/fsgsbase_restore.c", "x86/clang_helpers_64.S"),
    ("x86/iopl.c",),
    ("x86/sigaltstack.c",),
    ("x86/sigtrap_loop.c",),
    ("x86/single_step_syscall.c",),
    ("x86/syscall_arg_fault.c",),
    ("x86/syscall_nt.c",),
    ("x86/test_mremap_vdso.c",),
    ("x86/test_vsyscall.c",),
    ("sigaltstack/sas.c",),
    ("ptrace/get_syscall_info.c",),
    ("ptrace/peeksiginfo.c",),
)
NAMES = tuple(Path(files[0]).stem for files in PROGRAMS)


def ensure(*, cache: Cache) -> Path:
    """The directory of the compiled programs, from the cache or compiled by this machine's gcc."""
    key = {
        "source": source.version(DEFAULT),
        "programs": " ".join(file for files in PROGRAMS for file in files),
        "options": " ".join(COMPILE),
        "recipe": hash_files([Path(__file__)]),
    }
    return cache.ensure("selftests", key, lambda directory: _build(directory, cache), need_gib=0.5)


def _build(directory: Path, cache: Cache) -> None:
    archive = source.ensure(DEFAULT, cache=cache, progress=Silent())
    base = archive.name.removesuffix(".tar.xz")
    tests = "tools/testing/selftests"
    argv = ("tar", "--extract", "--file", str(archive), "--directory", str(directory))
    wanted = (f"{base}/{tests}", f"{base}/tools/include")
    process.check((*argv, "--strip-components=1", *wanted), timeout_s=UNPACK_TIMEOUT_S)
    root = directory / tests
    for files in PROGRAMS:
        output = directory / Path(files[0]).stem
        sources = [str(root / file) for file in files]
        compiling = (*COMPILE, "-no-pie", "-I", str(root), "-o", str(output), *sources)
        process.check(compiling, timeout_s=COMPILE_TIMEOUT_S)
    process.check(("rm", "-r", str(directory / "tools")), timeout_s=UNPACK_TIMEOUT_S)
