# SPDX-License-Identifier: MIT
"""A guest that stands for a machine of the user's: with a disk, a boot loader, and a power cable.

What it writes to its disk stays over reboots, as on a machine. Its boot loader is played here: the stand-in
for `reboot` says on the console what GRUB would find on the disk (the kernels in /boot and the command
line), and the next power-on takes the kernel by that name. It has power only while somebody is connected to
it: of several such machines in a test, at most one runs.
"""

from __future__ import annotations

import re
import select
import shlex
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from kmlbench import process
from kmlbench.build.artifacts import KernelArtifact
from kmlbench.errors import HostError
from kmlbench.hosts.qemu import BOOT_DEADLINE_S, KERNEL_COMMAND_LINE, READY, GuestSpec, qemu_argv
from kmlbench.hosts.qemu_process import Machine, start_qemu, tied_to_parent

ARMED = "kernel_mode_linux=on"
# What the user's machine has on its command line before anybody changes it.
USERS_OWN = "net.ifnames=0 audit=0"
LOADER = re.compile(r"kmlbench-loader: (\S*) (.*)")
# The stand-ins for what the guest image leaves out of a Debian.
REBOOT = """#!/bin/sh
kernel=$(ls -t /boot/vmlinuz-* 2>/dev/null | head -n 1)
# As grub-mkconfig reads them.
for file in /etc/default/grub /etc/default/grub.d/*.cfg; do
    [ ! -e "$file" ] || . "$file"
done
echo "kmlbench-loader: ${kernel:-none} $GRUB_CMDLINE_LINUX" > /dev/console
sync
echo u > /proc/sysrq-trigger
echo b > /proc/sysrq-trigger
"""
UPDATE_GRUB = "#!/bin/sh\nfind /boot -name 'vmlinuz-*' > /boot/grub.seen\n"


@dataclass(slots=True, kw_only=True)
class Powered:
    """The machine at `port` of the loopback interface. `boots` counts how often it was switched on."""

    spec: GuestSpec
    kernels: dict[str, KernelArtifact]
    directory: Path
    port: int = 0
    boots: int = 0
    last_loader: str = ""
    _machine: Machine | None = None
    _users: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    # QEMU dies with the thread that started it, so that is one which lives as long as the machine.
    _power: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))

    def serve(self, listener: socket.socket) -> None:
        """Hand every connection to the machine, which is woken up for it."""
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self._connected, args=(client,), daemon=True).start()

    def off(self) -> None:
        """The end of the machine, which nobody sends to sleep any more."""
        self._users += 1
        if self._machine is not None:
            with suppress(ProcessLookupError):
                self._machine.process.send_signal(signal.SIGCONT)
            self._machine.stop()
        self._power.shutdown()

    def _connected(self, client: socket.socket) -> None:
        with client:
            with self._lock:
                try:
                    port = self._wake()
                except HostError:
                    # It did not boot. Whoever wants it tries again.
                    return
                self._users += 1
            try:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port)) as server:
                    _pump(client, server)
            finally:
                with self._lock:
                    self._users -= 1
                    self._rest()

    def _wake(self) -> int:
        if self._machine is None or self._machine.process.poll() is not None:
            if self._machine is not None:
                self._machine.stop()
            self._machine = self._power.submit(self._switch_on).result()
        self._machine.process.send_signal(signal.SIGCONT)
        return self._machine.port

    def _rest(self) -> None:
        if self._users == 0 and self._machine is not None and self._machine.process.poll() is None:
            self._machine.process.send_signal(signal.SIGSTOP)

    def _switch_on(self) -> Machine:
        spec, line = self._loaded()
        console = self.directory / str(self.boots)
        console.mkdir(parents=True)
        self.boots += 1

        def argv(port: int, chardev: str) -> tuple[str, ...]:
            arguments = list(qemu_argv(spec, port=port, console=chardev))
            disk = next(index for index, word in enumerate(arguments) if word.startswith("file="))
            arguments[disk] = f"file={self.directory / 'disk'},format=qcow2,if=virtio"
            arguments[arguments.index("-append") + 1] = line
            return (*tied_to_parent(), *arguments)

        machine = start_qemu(spec.name, argv, directory=console)
        try:
            machine.wait_for(READY, deadline_s=BOOT_DEADLINE_S)
        except HostError:
            machine.stop()
            raise
        machine.listen()
        return machine

    def _loaded(self) -> tuple[GuestSpec, str]:
        """What the boot loader would start: first a kernel of the distribution, unarmed."""
        # Without the check, which an emulator that is kept waiting fails.
        own = KERNEL_COMMAND_LINE.replace(f" {ARMED}", " no_timer_check")
        if self._machine is None:
            return self.spec, own
        match = LOADER.search(self._machine.log.read_text(errors="replace"))
        if match is None:
            return self.spec, own
        self.last_loader = match[0].strip()
        release = match[1].removeprefix("/boot/vmlinuz-")
        built = self.kernels.get(release, self.spec.kernel)
        return replace(self.spec, kernel=built), f"{own} {match[2].strip()}"


@contextmanager
def powered(spec: GuestSpec, kernels: dict[str, KernelArtifact], directory: Path) -> Iterator[Powered]:
    """A machine that can be connected to until the block ends."""
    directory.mkdir(parents=True)
    disk = ("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(spec.image.root))
    process.check((*disk, str(directory / "disk")), timeout_s=60)
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        machine = Powered(spec=spec, kernels=kernels, directory=directory, port=listener.getsockname()[1])
        stack.callback(machine.off)
        stack.callback(listener.shutdown, socket.SHUT_RDWR)
        threading.Thread(target=machine.serve, args=(listener,), daemon=True).start()
        yield machine


def stand_ins(config: str, *, keep_data: bool = False) -> str:
    """A shell script that makes the guest a bare machine with a Debian: nothing of the project's is on it.

    But the pristine data of a server, if `keep_data`.
    """
    ours = "/trusted /usr/share/kmlbench" + ("" if keep_data else " /var/lib/kmlbench")
    return f"""
set -eu
rm -rf {ours}
find /usr/lib/kmlbench -type f ! -name init -delete
mkdir -p /etc/default/grub.d /boot
echo 'GRUB_CMDLINE_LINUX="{USERS_OWN}"' > /etc/default/grub
printf %s {shlex.quote(REBOOT)} > /usr/sbin/reboot
printf %s {shlex.quote(UPDATE_GRUB)} > /usr/sbin/update-grub
chmod 755 /usr/sbin/reboot /usr/sbin/update-grub
printf %s {shlex.quote(config)} > "/boot/config-$(uname -r)"
"""


def _pump(client: socket.socket, server: socket.socket) -> None:
    """Both directions, until one end hangs up."""
    other = {client: server, server: client}
    while True:
        readable, _, _ = select.select([client, server], [], [])
        for item in readable:
            data = item.recv(1 << 16)
            if not data:
                return
            other[item].sendall(data)
