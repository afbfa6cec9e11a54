# SPDX-License-Identifier: MIT
"""Whether KVM works on this machine: /dev/kvm may exist and still fail to run a guest.

So the real kernel and image are booted under KVM to the ready marker, with a deadline. The answer is
cached for this boot of the machine and this kernel.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from kmlbench.build.artifacts import ImageArtifact, KernelArtifact
from kmlbench.build.cache import Cache
from kmlbench.errors import HostError, MachineError
from kmlbench.hosts.qemu import KVM, READY, GuestSpec, power_on
from kmlbench.hosts.qemu_process import tied_to_parent
from kmlbench.model import Acceleration, Clock
from kmlbench.storage import write_whole

DEADLINE_S = 15.0

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class KvmAnswer:
    """What this machine can do, and the reason in a sentence."""

    acceleration: Acceleration
    reason: str


def probe(kernel: KernelArtifact, image: ImageArtifact, *, cache: Cache) -> Acceleration:
    """KVM if it booted this kernel within DEADLINE_S seconds, else TCG. `explain_refusal` adds the reason."""
    return explain_refusal(kernel, image, cache=cache).acceleration


def explain_refusal(
    kernel: KernelArtifact, image: ImageArtifact, *, cache: Cache, device: Path = KVM
) -> KvmAnswer:
    """As `probe`, with the reason."""
    if (refusal := refused(device)) is not None:
        return refusal
    memory = cache.root / "acceleration" / f"{BOOT_ID.read_text().strip()}-{kernel.key}.json"
    known = _recall(memory)
    if known is None:
        known = attempt(kernel, image)
        _remember(memory, known)
    return known


def refused(device: Path = KVM) -> KvmAnswer | None:
    """Why KVM need not be tried; None if it has to be."""
    if not device.exists():
        return KvmAnswer(acceleration=Acceleration.TCG, reason=f"this machine has no {device}")
    if not os.access(device, os.R_OK | os.W_OK):
        return KvmAnswer(acceleration=Acceleration.TCG, reason=f"this user may not open {device}")
    return None


def attempt(kernel: KernelArtifact, image: ImageArtifact) -> KvmAnswer:
    """Boot this kernel and image under KVM, without caching the answer."""
    spec = GuestSpec(
        name="acceleration-probe",
        kernel=kernel,
        image=image,
        memory_mb=1024,
        cpus=1,
        cpu_model="max",
        clock=Clock.TIME,
        acceleration=Acceleration.KVM,
        seed=0,
    )
    with tempfile.TemporaryDirectory(prefix="kmlbench-") as directory:
        try:
            machine = power_on(spec, directory=Path(directory), argv_prefix=tied_to_parent())
            try:
                machine.wait_for(READY, deadline_s=DEADLINE_S)
            finally:
                machine.stop()
        except (HostError, MachineError) as error:
            cause = "; ".join(str(error.args[0]).splitlines()[:2])
            return KvmAnswer(acceleration=Acceleration.TCG, reason=f"KVM does not run the guest: {cause}")
    return KvmAnswer(acceleration=Acceleration.KVM, reason="KVM booted the guest")


def _recall(memory: Path) -> KvmAnswer | None:
    try:
        stored = json.loads(memory.read_text())
        return KvmAnswer(acceleration=Acceleration(stored["acceleration"]), reason=str(stored["reason"]))
    except (OSError, ValueError, KeyError, TypeError):
        # No answer, or an incomplete answer: try again.
        return None


def _remember(memory: Path, answer: KvmAnswer) -> None:
    memory.parent.mkdir(parents=True, exist_ok=True)
    write_whole(memory, f"{json.dumps(asdict(answer))}\n".encode())
