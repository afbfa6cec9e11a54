# SPDX-License-Identifier: MIT
"""A kind of hosts is a module and a line: nothing else has to know it."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from kmlbench import provenance
from kmlbench.cli.main import main, run_benchmark
from kmlbench.hosts.kinds import KINDS
from kmlbench.results import reader

pytestmark = pytest.mark.slow

MODULE = '''
from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from support.played_machines import Playing, ready

from kmlbench.hosts.base import Claim, Size
from kmlbench.hosts.spec import HostSpec
from kmlbench.rules import number, plain_field, text_field
from kmlbench.model import Kernel


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxSpec(HostSpec):
    """A host of another hypervisor."""

    kind: ClassVar[str] = "box"
    about: ClassVar[str] = "a guest of boxes"

    name: str
    kernel: Kernel = field(metadata=plain_field("which of the two kernels it runs"))
    memory_mb: int = field(metadata=number("its memory in MiB", 16, 4096))
    doors: tuple[int, ...] = field(default=(), metadata=plain_field("the numbers of its doors"))
    shape: str = field(
        default="cube", metadata=text_field("its shape", pattern="cube|ball", wanted="cube or ball")
    )

    @property
    def description(self):
        return f"the box {self.name} ({self.shape})"

    @property
    def claim(self):
        return Claim(key=f"box-{self.name}", name=self.description)

    @property
    def size(self):
        return Size(memory_mb=self.memory_mb, cpus=1)

    def differences(self, other):
        if self.shape != other.shape:
            yield f"shape ({self.shape}, {other.shape})"

    def outlook(self, server, kernels, extras):
        yield f"boxes are opened, with {server}"

    @classmethod
    def prepare(cls, pairs, job):
        boxes = (host.description for pair in pairs for host in pair.values())
        job.progress.note(f"opening {', '.join(boxes)}")
        return ready(Playing())
'''

HOSTS = """\
hosts:
  a: {kind: box, kernel: stock, memory_mb: 16}
  b: {kind: box, kernel: kml, memory_mb: 16, shape: cube}
campaign: {stock: a, kml: b, server: mysql, workloads: [getpid], blocks: 2, scale: 1, seed: 2}
"""


@pytest.fixture(autouse=True)
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kind, in a module of its own."""
    path = tmp_path / "kind_box.py"
    path.write_text(MODULE)
    spec = importlib.util.spec_from_file_location("kind_box", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "kind_box", module)
    spec.loader.exec_module(module)
    monkeypatch.setitem(KINDS, "box", module.BoxSpec)


@pytest.fixture
def hosts(tmp_path: Path) -> Path:
    path = tmp_path / "hosts.yaml"
    path.write_text(HOSTS)
    return path


def test_the_schema_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["host", "schema"]) == 0
    validator = Draft202012Validator(json.loads(capsys.readouterr().out))
    campaign = {
        **{"stock": "a", "kml": "b", "server": "mysql", "workloads": ["getpid"], "blocks": 2, "scale": 1}
    }
    good = {"kind": "box", "kernel": "stock", "memory_mb": 16}
    for host, valid in ((good, True), ({**good, "shape": "egg"}, False), ({**good, "port": 1}, False)):
        assert validator.is_valid({"hosts": {"a": host}, "campaign": campaign}) is valid


def test_its_faults_have_lines_and_words(hosts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hosts.write_text(HOSTS.replace("shape: cube", "shap: cube").replace("memory_mb: 16", "memory_mb: 8", 1))
    assert run_benchmark(["--dry-run", "--hosts", str(hosts)]) == 2
    printed = capsys.readouterr().err
    assert "hosts.yaml:2: host 'a': memory_mb: 8 is not between 16 and 4096" in printed
    assert "hosts.yaml:3: host 'b': shap: unknown key; did you mean 'shape'?" in printed
    hosts.write_text(HOSTS.replace("shape: cube", "doors: [1, x]"))
    assert run_benchmark(["--dry-run", "--hosts", str(hosts)]) == 2
    assert "hosts.yaml:3: host 'b': doors: 1: Input should be a valid integer" in capsys.readouterr().err
    hosts.write_text(HOSTS.replace("shape: cube", "shape: egg"))
    assert run_benchmark(["--dry-run", "--hosts", str(hosts)]) == 2
    assert "hosts.yaml:3: host 'b': shape: must be cube or ball" in capsys.readouterr().err
    hosts.write_text(HOSTS.replace("shape: cube", "shape: ball"))
    assert run_benchmark(["--dry-run", "--hosts", str(hosts)]) == 2
    assert "kml: hosts 'a' and 'b' differ in shape (cube, ball)" in capsys.readouterr().err


def test_a_dry_run_says_what_becomes_of_it(hosts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_benchmark(["--dry-run", "--hosts", str(hosts)]) == 0
    printed = capsys.readouterr().out
    assert "the stock kernel on the box a (cube)" in printed
    assert "boxes are opened, with mysql" in printed


def test_doctor_looks_at_it(hosts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", "--hosts", str(hosts)])
    assert "\na\n  good      guest: 16 MiB, 1 processors\n" in capsys.readouterr().out


def test_a_verb_for_other_kinds_refuses_it(hosts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["guest", "boot", "a", "--hosts", str(hosts)]) == 2
    assert main(["host", "check", "a", "--hosts", str(hosts)]) == 2
    assert "host a is a guest" in capsys.readouterr().err


def test_a_campaign_runs_on_it(
    hosts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(provenance, "git_commit", lambda: "c0ffee")
    results = tmp_path / "results"
    assert run_benchmark(["--hosts", str(hosts), "--results", str(results)]) == 0
    assert "opening the box a (cube), the box b (cube)" in capsys.readouterr().err
    stored = reader.read_campaign(results / "latest")
    assert len(stored.completed) == len(stored.campaign.plan) > 0
