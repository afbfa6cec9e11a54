# SPDX-License-Identifier: MIT
"""What the ways into the kernel cost on both kernels, in instructions, with each skipped measure kept once.

    .venv/bin/python benchmarks/kernel.py [--kernel VERSION]

Boots guests of QEMU under the instruction clock (-icount shift=0, -cpu max, one CPU): every figure is a count
of instructions in an emulator, not a time, and says nothing about what one of them costs in hardware. Kernels
and image must be in the cache (`make benchmark` puts them there).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from kmlbench import process
from kmlbench.build import image, kernel
from kmlbench.build.bases import DEFAULT, Base
from kmlbench.build.cache import default_cache
from kmlbench.hosts.qemu import GuestSpec, boot
from kmlbench.hosts.ssh import SshHost
from kmlbench.model import Acceleration, Clock, Kernel, Prefix, Server
from kmlbench.progress import Silent

SOURCE = Path(__file__).with_name("prices.c")
CALLS = ("getpid", "getpid_trap", "socket")
WORK = ("socket", "minor_fault", "timer_per_ms", "context_switch", "signal", "process")
KEPT = ("registers", "speculation", "stack_offset", "dispatch", "usercopy", "all")
# The last word counts, and guests are armed otherwise.
DISARMED = "kernel_mode_linux=off"
OFF = ("sysctl", "-q", "-w", "kernel.kernel_mode_linux_direct_calls=0")

DIRECT_GOAL = 0.45
TRAP_GOAL = 1.0
DISARMED_GOAL = 0.0
ORDINARY_GOAL = 2.0
WORK_GOAL = 0.03

Prices = Mapping[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description="what the ways into the kernel cost, in instructions")
    parser.add_argument(
        "--kernel", type=Base, choices=list(Base), default=DEFAULT, help="the version of Linux"
    )
    base: Base = parser.parse_args().kernel
    with tempfile.TemporaryDirectory() as directory:
        program = Path(directory) / "prices"
        process.check(("cc", "-O2", "-static", "-o", str(program), str(SOURCE)), timeout_s=60.0)
        with guest(Kernel.STOCK, base, directory) as host:
            stock = prices(host, program, Prefix.USR)
        with guest(Kernel.KML, base, directory, DISARMED) as host:
            disarmed = prices(host, program, Prefix.USR)
        with guest(Kernel.KML, base, directory) as host:
            ordinary = prices(host, program, Prefix.USR)
            trusted = prices(host, program, Prefix.TRUSTED)
            host.run(OFF, timeout_s=60.0)
            off = prices(host, program, Prefix.TRUSTED)
        kept = {}
        for name in KEPT:
            with guest(Kernel.KML, base, directory, f"kernel_mode_linux_keep={name}") as host:
                kept[name] = prices(host, program, Prefix.TRUSTED)
    print_calls(stock, disarmed, ordinary, trusted, off)
    print_kept(stock, trusted, kept)
    print_work(stock, disarmed, ordinary, trusted)


def print_calls(stock: Prices, disarmed: Prices, ordinary: Prices, trusted: Prices, off: Prices) -> None:
    base = stock["getpid"]
    rows = (
        ("stock:/usr, SYSCALL", base, ""),
        ("kml:/usr, never armed, SYSCALL", disarmed["getpid"], f"goal +{DISARMED_GOAL:.0f}"),
        ("kml:/usr, SYSCALL", ordinary["getpid"], f"goal at most +{ORDINARY_GOAL:.0f}"),
        ("kml:/trusted, direct call", trusted["getpid"], f"goal {DIRECT_GOAL}"),
        ("kml:/trusted, SYSCALL, not patchable", trusted["getpid_trap"], f"goal {TRAP_GOAL:.0f}"),
        ("kml:/trusted, SYSCALL, direct calls off", off["getpid"], f"goal {TRAP_GOAL:.0f}"),
    )
    print("getpid, instructions (QEMU TCG, -icount shift=0, -cpu max, Debian's mitigations)")
    for label, price, goal in rows:
        print(f"  {label:<40} {price:7.1f} {price - base:+8.1f} {price / base:7.3f}  {goal}")


def print_kept(stock: Prices, trusted: Prices, kept: Mapping[str, Prices]) -> None:
    print("getpid from kml:/trusted with kernel_mode_linux_keep=, instructions: direct call, SYSCALL, socket")
    for name, found in {"(nothing)": trusted, **kept}.items():
        calls = "".join(f"{found[call]:9.1f} {found[call] / stock['getpid']:.3f}" for call in CALLS)
        print(f"  {name:<14} {calls}")


def print_work(stock: Prices, disarmed: Prices, ordinary: Prices, trusted: Prices) -> None:
    print(f"instructions, against stock:/usr (goal for kml:/usr: within {WORK_GOAL:.0%})")
    for name in WORK:
        base = stock[name]
        shares = "  ".join(
            f"{cell} {found[name]:9.1f} {found[name] / base - 1:+7.2%}"
            for cell, found in (
                ("never armed", disarmed),
                ("kml:/usr", ordinary),
                ("kml:/trusted", trusted),
            )
        )
        print(f"  {name:<15} stock:/usr {base:9.1f}  {shares}")


@contextmanager
def guest(which: Kernel, base: Base, directory: str, command_line: str = "") -> Iterator[SshHost]:
    spec = GuestSpec(
        name=f"prices-{which}",
        kernel=kernel.ensure(which, base, cache=default_cache(), progress=Silent()),
        image=image.ensure(Server.MYSQL, cache=default_cache(), progress=Silent()),
        memory_mb=1024,
        cpus=1,
        cpu_model="max",
        clock=Clock.INSTRUCTIONS,
        acceleration=Acceleration.TCG,
        seed=1,
        command_line=command_line,
    )
    with boot(spec, directory=Path(tempfile.mkdtemp(dir=directory))) as host:
        yield host


def prices(host: SshHost, program: Path, prefix: Prefix) -> Prices:
    path = prefix.path("lib/kmlbench/prices")
    host.put(program, path)
    for argv in (("chmod", "755", path), (path,)):
        result = host.run(argv, timeout_s=600.0)
        if result.returncode:
            raise SystemExit(f"{argv[0]} failed: {result.stderr}")
    found: dict[str, float] = json.loads(result.stdout)
    return found


if __name__ == "__main__":
    main()
