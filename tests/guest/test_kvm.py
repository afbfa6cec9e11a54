# SPDX-License-Identifier: MIT
"""Acceleration is what this machine does, not what it has."""

from __future__ import annotations

from pathlib import Path

import pytest

from kmlbench.build.artifacts import ImageArtifact, KernelArtifact
from kmlbench.build.cache import Cache
from kmlbench.hosts import kvm, qemu
from kmlbench.model import Acceleration


@pytest.mark.guest
def test_a_machine_without_the_device_is_emulated(
    stock_kernel: KernelArtifact, mysql_image: ImageArtifact, tmp_path: Path
) -> None:
    answer = kvm.explain_refusal(stock_kernel, mysql_image, cache=Cache(tmp_path), device=tmp_path / "kvm")
    assert answer.acceleration is Acceleration.TCG
    assert "has no" in answer.reason


@pytest.mark.guest
def test_the_answer_comes_from_a_boot_and_is_remembered(
    stock_kernel: KernelArtifact,
    mysql_image: ImageArtifact,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A plain file stands where /dev/kvm would be, so QEMU is asked on every machine."""
    device = tmp_path / "kvm"
    device.write_text("")
    cache = Cache(tmp_path)
    first = kvm.explain_refusal(stock_kernel, mysql_image, cache=cache, device=device)
    assert first.reason
    monkeypatch.setattr(kvm, "attempt", lambda *_: pytest.fail("booted again"))
    assert kvm.explain_refusal(stock_kernel, mysql_image, cache=cache, device=device) == first
    memory = next((tmp_path / "acceleration").iterdir())
    memory.write_text('{"acceleration"')
    with pytest.raises(BaseException, match="booted again"):
        kvm.explain_refusal(stock_kernel, mysql_image, cache=cache, device=device)


@pytest.mark.guest
def test_a_device_that_goes_away_is_a_refusal(
    stock_kernel: KernelArtifact, mysql_image: ImageArtifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = tmp_path / "kvm"
    device.write_text("")
    monkeypatch.setattr(qemu, "KVM", tmp_path / "gone")
    answer = kvm.explain_refusal(stock_kernel, mysql_image, cache=Cache(tmp_path), device=device)
    assert answer.acceleration is Acceleration.TCG
    assert f"this machine has no {tmp_path / 'gone'}" in answer.reason
