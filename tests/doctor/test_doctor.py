# SPDX-License-Identifier: MIT
"""`kmlbench doctor`: what it says of a machine in this state or that, as text and as JSON; exit codes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fake_host import Exchange, FakeHost
from support.paths import REPOSITORY

from kmlbench import paths
from kmlbench.build import image, kernel
from kmlbench.cli.main import main
from kmlbench.config.campaign import load_config
from kmlbench.doctor import checks, host_checks, questions
from kmlbench.doctor.checks import Finding, FindingState
from kmlbench.errors import HostError
from kmlbench.hosts import kvm
from kmlbench.hosts.kind_ssh import SshHostSpec
from kmlbench.hosts.kvm import KvmAnswer
from kmlbench.model import Acceleration, Kernel

pytestmark = pytest.mark.slow

QUIET = {
    "ticks": "100 1000 101 1199",
    "release": "6.12.117-kml",
    "command_line": "quiet kernel_mode_linux=on",
    "kml": "1",
    "vulnerability_spectre_v2": "Mitigation: Retpolines",
    "governors": "performance",
    "no_turbo": "1",
    "smt": "0",
    "swaps": "0",
    "memory": "16000000",
    "clocksource": "tsc",
    "synchronised": "yes",
    "run_free": "3000",
    "var_free": "90000",
    "version_sysbench": "sysbench 1.0.20",
}


def guest_mib() -> int:
    """The memory of the guests that hosts.yaml has."""
    size = load_config(REPOSITORY / "hosts.yaml").hosts[0].size
    assert size is not None
    return size.memory_mb


def finding_of(name: str, **changed: str | None) -> Finding:
    text = {key: value for key, value in {**QUIET, **changed}.items() if value is not None}
    (item,) = [finding for finding in host_checks.host_findings(text, Kernel.KML) if finding.name == name]
    return item


def test_a_machine_made_quiet_has_nothing_that_matters() -> None:
    assert {finding.state for finding in host_checks.host_findings(QUIET, Kernel.KML)} == {FindingState.GOOD}
    assert all(finding.meaning for finding in host_checks.host_findings(QUIET, Kernel.KML))


@pytest.mark.parametrize(
    ("name", "changed", "value", "change"),
    [
        ("acceleration", {"hypervisor": "hypervisor"}, "a virtual machine", "bare metal"),
        ("mitigations", {"command_line": "quiet mitigations=off"}, "off", "drop mitigations="),
        ("mitigations", {"vulnerability_mds": "Vulnerable; SMT"}, "without mds", "microcode"),
        ("governor", {"governors": "performance powersave"}, "performance powersave", "cpupower"),
        ("turbo", {"no_turbo": "0"}, "on", "echo 1 > /sys/devices/system/cpu/intel_pstate/no_turbo"),
        ("turbo", {"no_turbo": None, "boost": "1"}, "on", "echo 0 > /sys/devices/system/cpu/cpufreq/boost"),
        ("smt", {"smt": "1"}, "on", "smt/control"),
        ("swap", {"swaps": "2"}, "2 areas", "swapoff"),
        (
            "load",
            {"ticks": "100 1000 150 1150", "busiest": "9 cron"},
            "25 % of all processors busy; most: 9",
            "stop",
        ),
        ("time source", {"clocksource": "hpet"}, "hpet, set by NTP: yes", "tsc"),
        ("disk", {"run_free": "100"}, "90000 MiB free below /var/lib, 100 below /run", "remount"),
    ],
)
def test_what_changes_figures_is_told_with_what_changes_it(
    name: str, changed: dict[str, str | None], value: str, change: str
) -> None:
    item = finding_of(name, **changed)
    assert item.state is FindingState.MATTERS
    assert item.value.startswith(value)
    assert change in item.change


@pytest.mark.parametrize(
    ("kernel", "kml", "state", "change"),
    [
        (Kernel.KML, "1", FindingState.GOOD, ""),
        (Kernel.KML, "0", FindingState.PREVENTS, "sysctl kernel.kernel_mode_linux=1"),
        (Kernel.KML, None, FindingState.PREVENTS, "boot the kml kernel"),
        (Kernel.STOCK, None, FindingState.GOOD, ""),
        (Kernel.STOCK, "1", FindingState.PREVENTS, "boot the stock kernel"),
    ],
)
def test_a_host_with_another_kernel_or_unarmed_prevents(
    kernel: Kernel, kml: str | None, state: FindingState, change: str
) -> None:
    text = {**QUIET, **({} if kml is None else {"kml": kml})}
    if kml is None:
        del text["kml"]
    (item,) = [finding for finding in host_checks.host_findings(text, kernel) if finding.name == "kml"]
    assert item.state is state
    assert change in item.change


def test_the_kernels_own_reason_is_told() -> None:
    item = finding_of("kml", kml="0", kml_log="kml: not armed: page table isolation is on")
    assert "page table isolation is on" in item.value


def test_what_nobody_answers_is_unknown_and_no_verdict() -> None:
    states = {finding.name: finding.state for finding in checks.conditions({})}
    assert set(states.values()) == {FindingState.UNKNOWN}


@given(st.dictionaries(st.sampled_from([*QUIET, "busiest", "boost", "kml_log", "hypervisor"]), st.text()))
def test_a_host_may_say_anything(message: dict[str, str]) -> None:
    assert len(host_checks.host_findings(message, Kernel.STOCK)) == len(
        host_checks.host_findings(QUIET, Kernel.KML)
    )


@given(st.text())
def test_any_text_is_answers_or_none(text: str) -> None:
    for name, value in questions.parse_answers(text).items():
        assert 0 < len(value) <= questions.MOST_CHARACTERS
        assert name


def test_this_machine_answers_what_it_can() -> None:
    text = questions.ask_this_machine()
    assert {"release", "ticks", "processors", "memory", "swaps", "version_python3"} <= text.keys()


def test_the_script_only_reads() -> None:
    """No redirection but of standard error, and no command that changes something."""
    lines = questions.SCRIPT.replace("2>/dev/null", "").replace(">/dev/null", "").replace("2>&1", "")
    assert ">" not in lines
    words = set(lines.replace("(", " ").replace("|", " ").split())
    assert not words & {"tee", "rm", "mv", "cp", "mkdir", "touch", "sysctl", "modprobe", "echo>"}


MACHINE = """\
  {name}:
    kind: ssh
    kernel: {name}
    address: {name}.example.org
    user: root
    key: k
    host_key: ssh-ed25519 AAAA{name}
"""
CAMPAIGN = "campaign: {stock: stock, kml: kml, server: mysql, workloads: [getpid], blocks: 1, scale: 1}\n"


@pytest.fixture
def hosts(tmp_path: Path) -> Path:
    path = tmp_path / "hosts.yaml"
    path.write_text("hosts:\n" + "".join(MACHINE.format(name=name) for name in ("stock", "kml")) + CAMPAIGN)
    return path


@contextmanager
def connection(spec: SshHostSpec, deadline_s: float) -> Iterator[FakeHost]:
    assert deadline_s <= 15
    if spec.name == "stock":
        raise HostError(
            "root@stock.example.org:22 did not answer within 15 s: \x1b[2J", remedy="see whether it runs"
        )
    text = "".join(f"{name}={value}\n" for name, value in {**QUIET, "busiest": "\x1b[2J"}.items())
    yield FakeHost(script=[Exchange(argv=("sh", "-c", questions.SCRIPT), stdout=text)])


def test_each_machine_is_told_and_one_that_does_not_answer_is_the_exit_code(
    hosts: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SshHostSpec, "connection", connection)
    assert main(["doctor", "--hosts", str(hosts)]) == 4
    printed = capsys.readouterr().out
    assert (
        "stock\n  root@stock.example.org:22 did not answer within 15 s: \\x1b[2J\n    remedy: see whether"
        in printed
    )
    assert "  good      governor: performance\n" in printed
    assert "\x1b" not in printed
    assert main(["doctor", "--hosts", str(hosts), "--json"]) == 4
    listed = json.loads(capsys.readouterr().out)["machines"]
    assert [each["name"] for each in listed] == ["this machine", "stock", "kml"]
    assert listed[1]["error"].startswith("root@stock.example.org:22 did not answer")
    assert listed[2]["error"] is None
    assert set(listed[2]["findings"][0]) == {"name", "value", "state", "meaning", "change"}


@pytest.mark.parametrize(
    ("answer", "value", "state"),
    [
        (KvmAnswer(acceleration=Acceleration.KVM, reason="KVM booted the guest"), "KVM", "good"),
        (KvmAnswer(acceleration=Acceleration.TCG, reason="KVM does not run the guest"), "TCG", "matters"),
    ],
)
def test_kvm_is_tried_with_what_is_built(
    answer: KvmAnswer,
    value: str,
    state: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kvm, "refused", lambda: None)
    monkeypatch.setattr(kvm, "attempt", lambda *_: answer)
    monkeypatch.setattr(kernel, "built", lambda *_, **__: object())
    monkeypatch.setattr(image, "built", lambda *_, **__: object())
    main(["doctor", "--hosts", str(REPOSITORY / "hosts.yaml"), "--json"])
    first = json.loads(capsys.readouterr().out)["machines"][0]["findings"][0]
    assert (first["name"], first["value"], first["state"]) == ("acceleration", value, state)
    assert answer.reason in first["meaning"]


def test_kvm_is_not_tried_and_nothing_built_where_nothing_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kvm, "refused", lambda: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    main(["doctor", "--hosts", str(REPOSITORY / "hosts.yaml")])
    assert "  unknown   acceleration: not tried\n" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_a_machine_without_qemu_or_memory_for_the_guests_prevents(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kvm, "refused", lambda: KvmAnswer(acceleration=Acceleration.TCG, reason="no"))
    monkeypatch.setattr(questions, "ask_this_machine", lambda: {**QUIET, "memory": "1000000"})
    assert main(["doctor", "--hosts", str(REPOSITORY / "hosts.yaml")]) == 3
    printed = capsys.readouterr().out
    assert "  prevents  qemu: missing\n" in printed
    assert f"  prevents  guest: {guest_mib()} MiB, 1 processors\n" in printed


def test_what_installs_qemu_is_a_command_that_is_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kvm, "refused", lambda: None)
    monkeypatch.setattr(questions, "ask_this_machine", lambda: QUIET)
    for in_checkout, remedy in ((True, "run `make setup`"), (False, "as root: apt-get install ")):
        monkeypatch.setattr(paths, "IN_CHECKOUT", in_checkout)
        main(["doctor", "--hosts", str(REPOSITORY / "hosts.yaml"), "--json"])
        (here, *_) = json.loads(capsys.readouterr().out)["machines"]
        (qemu,) = [finding for finding in here["findings"] if finding["name"] == "qemu"]
        assert qemu["change"].startswith(remedy)


def rooms(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """The lines of this machine that say what is free where."""
    main(["doctor", "--hosts", str(REPOSITORY / "hosts.yaml")])
    here = capsys.readouterr().out.partition("\nstock\n")[0]
    return {
        words[1].removesuffix(":"): line
        for line in here.splitlines()
        if "MiB free" in line and (words := line.split())
    }


def test_the_rooms_of_this_machine_are_those_that_a_campaign_asks_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    full = shutil.disk_usage(tmp_path)._replace(free=255 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    text = rooms(capsys)
    assert text["results"] == f"  prevents  results: 255 MiB free in {tmp_path}"
    assert text["cache"] == f"  prevents  cache: 255 MiB free in {tmp_path}"
    assert main(["doctor", "--hosts", str(REPOSITORY / "hosts.yaml")]) == 3


def test_a_full_cache_that_has_everything_is_no_fault(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kvm, "refused", lambda: KvmAnswer(acceleration=Acceleration.TCG, reason="no"))
    monkeypatch.setattr(kernel, "built", lambda *_, **__: object())
    monkeypatch.setattr(image, "built", lambda *_, **__: object())
    assert list(rooms(capsys)) == ["results"]


def test_a_guest_needs_room_for_qemu_beside_its_memory(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kvm, "refused", lambda: KvmAnswer(acceleration=Acceleration.TCG, reason="no"))
    monkeypatch.setattr(
        questions, "ask_this_machine", lambda: {**QUIET, "memory": str((guest_mib() + 511) << 10)}
    )
    assert main(["doctor", "--hosts", str(REPOSITORY / "hosts.yaml")]) == 3
    assert f"  prevents  guest: {guest_mib()} MiB, 1 processors\n" in capsys.readouterr().out


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    program = "import sys; from kmlbench.cli.main import main; sys.exit(main(sys.argv[1:]))"
    argv = [sys.executable, "-c", program, "host", "schema"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert b"Error" not in process.communicate()[1]
    assert process.returncode == 141
