# SPDX-License-Identifier: MIT
"""What a campaign needs of a machine."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kmlbench.errors import MachineError
from kmlbench.hosts.kind_qemu import QemuHostSpec
from kmlbench.model import Clock, Kernel
from kmlbench.run import preflight

GUEST = QemuHostSpec(
    name="stock",
    kernel=Kernel.STOCK,
    memory_mb=2048,
    cpus=1,
    cpu_model="max",
    clock=Clock.INSTRUCTIONS,
)


def meminfo(directory: Path, available_mib: int) -> Path:
    path = directory / "meminfo"
    path.write_text(f"MemTotal: 99999999 kB\nMemAvailable:   {available_mib << 10} kB\n")
    return path


def test_a_machine_that_has_everything(tmp_path: Path) -> None:
    preflight.check_machine([GUEST], tmp_path / "not" / "yet", meminfo=meminfo(tmp_path, 2048 + 512))


def test_everything_that_lacks_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = shutil.disk_usage(tmp_path)._replace(free=10 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(MachineError) as caught:
        preflight.check_machine([GUEST], tmp_path / "results", meminfo=meminfo(tmp_path, 2000))
    text = str(caught.value)
    assert f"{tmp_path} has 10 MiB free, a campaign needs 256" in text
    assert "qemu-system-x86_64 is not installed on this machine" in text
    assert "2000 MiB of memory are available, a guest of 2048 MiB needs 2560" in text
    assert "make setup" in caught.value.remedy


def test_guests_of_several_pairs_are_there_at_once(tmp_path: Path) -> None:
    pairs = [GUEST] * 4
    preflight.check_machine(pairs, tmp_path, at_once=2, meminfo=meminfo(tmp_path, 2 * 2560))
    with pytest.raises(MachineError, match=r"5119 MiB .* 2 guests of 2048 MiB need 5120") as caught:
        preflight.check_machine(pairs, tmp_path, at_once=2, meminfo=meminfo(tmp_path, 2 * 2560 - 1))
    assert "--pairs" in caught.value.remedy


def test_hosts_that_already_run_need_neither_qemu_nor_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    preflight.check_machine([], tmp_path, meminfo=meminfo(tmp_path, 1))
