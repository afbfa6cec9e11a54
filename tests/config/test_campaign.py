# SPDX-License-Identifier: MIT
"""hosts.yaml: what is read, and that every fault is told at once with its line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.paths import REPOSITORY

from kmlbench.build.bases import DEFAULT, Base
from kmlbench.cli.main import main, run_benchmark
from kmlbench.config import campaign
from kmlbench.config.yamlfile import option, read_options
from kmlbench.errors import InputError
from kmlbench.hosts.kind_qemu import QemuHostSpec
from kmlbench.hosts.kind_ssh import SshHostSpec
from kmlbench.hosts.login import Login
from kmlbench.model import Clock, Kernel, Server

GOOD = """\
hosts:
  plain:
    kind: qemu
    kernel: stock
    memory_mb: 2048
    cpus: 1
    cpu_model: max
    clock: instructions
  far:
    kind: ssh
    kernel: kml
    address: 192.0.2.7
    port: 22
    user: root
    key: keys/far
    host_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5
  near:
    kind: qemu
    kernel: kml
    memory_mb: 2048
    cpus: 1
    cpu_model: max
    clock: instructions
campaign:
  stock: plain
  kml: near
  server: mysql
  workloads: [getpid, wisconsin]
  blocks: 3
  scale: 0.5
"""


def load(directory: Path, text: str) -> campaign.Config:
    path = directory / "hosts.yaml"
    path.write_text(text, encoding="utf-8")
    return campaign.load_config(path)


def faults(directory: Path, text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        load(directory, text)
    return [fault.removeprefix(f"{directory}/") for fault in caught.value.faults]


COMMANDS = (
    *(("run-benchmark", "--dry-run"), ("kmlbench", "doctor"), ("kmlbench", "host", "check", "far")),
    ("kmlbench", "guest", "boot", "plain"),
)


def run(command: tuple[str, ...], hosts: Path) -> int:
    """The exit code of a command with this hosts.yaml."""
    name, *words = command
    return {"kmlbench": main, "run-benchmark": run_benchmark}[name]([*words, "--hosts", str(hosts)])


def test_the_hosts_yaml_of_the_repository_is_good() -> None:
    loaded = campaign.load_config(REPOSITORY / "hosts.yaml")
    assert {host.kernel for host in loaded.hosts} == {Kernel.STOCK, Kernel.KML}
    assert loaded.campaign.server is Server.MYSQL


def test_a_good_file_becomes_frozen_data(tmp_path: Path) -> None:
    loaded = load(tmp_path, GOOD)
    assert loaded.host("plain") == QemuHostSpec(
        name="plain",
        kernel=Kernel.STOCK,
        memory_mb=2048,
        cpus=1,
        cpu_model="max",
        clock=Clock.INSTRUCTIONS,
    )
    assert loaded.host("far") == SshHostSpec(
        name="far",
        kernel=Kernel.KML,
        address="192.0.2.7",
        port=22,
        user="root",
        key=tmp_path / "keys/far",
        host_key="ssh-ed25519 AAAAC3NzaC1lZDI1NTE5",
    )
    assert loaded.campaign.workloads == ("getpid", "wisconsin")
    assert (loaded.campaign.blocks, loaded.campaign.scale, loaded.campaign.seed) == (3, 0.5, None)


def test_a_machine_behind_a_gate_with_a_user_of_its_own(tmp_path: Path) -> None:
    jump = "    jump: {address: gate, user: me, key: ~/k, known_hosts: known}\n"
    given = ("known_hosts: ~/.ssh/known_hosts", "sudo: true", "reboot: true", "boot_deadline_s: 90")
    more = jump + "\n".join(f"    {field}" for field in given)
    text = GOOD.replace("    host_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", more)
    far = load(tmp_path, text.replace("    port: 22\n", "").replace("user: root", "user: bench")).host("far")
    assert isinstance(far, SshHostSpec)
    assert (far.port, far.user, far.sudo, far.reboot, far.boot_deadline_s) == (22, "bench", True, True, 90)
    assert (far.host_key, far.known_hosts) == ("", Path.home() / ".ssh/known_hosts")
    assert far.jump == Login(
        address="gate", port=22, user="me", key=Path.home() / "k", known_hosts=tmp_path / "known"
    )


MACHINE = GOOD[GOOD.index("    kind: ssh") : GOOD.index("  near:")]
OTHER = (
    MACHINE.replace("kernel: kml", "kernel: stock")
    .replace("192.0.2.7", "192.0.2.8")
    .replace("ZDI1NTE5", "AAAA")
)
TWO = f"hosts:\n  a:\n{OTHER}  b:\n{MACHINE}" + GOOD[GOOD.index("campaign:") :].replace(
    "stock: plain", "stock: a"
).replace("kml: near", "kml: b")


def test_the_machines_of_a_campaign_are_all_rebooted_or_none(tmp_path: Path) -> None:
    assert load(tmp_path, TWO).campaign.kml == ("b",)
    text = "hosts.yaml:21: campaign: kml: hosts 'a' and 'b' differ in reboot: "
    assert faults(tmp_path, TWO.replace("    port: 22", "    port: 22\n    reboot: true", 1)) == [
        f"{text}a boot must mean the same on both"
    ]


def test_two_names_of_one_machine_are_refused_by_their_key(tmp_path: Path) -> None:
    key = "ssh-ed25519 AAAAC3NzaC1l"
    (fault,) = faults(tmp_path, TWO.replace(f"{key}AAAA", f"{key}ZDI1NTE5 its comment"))
    assert "hosts 'a' and 'b' are one machine (they present the same host_key): it runs one kernel" in fault


@pytest.mark.parametrize(
    ("a", "b", "shortest"),
    [
        ("'0:0:0:0:0:0:0:1'", "'::1'", "::1"),
        ("localhost", "127.0.0.1", "127.0.0.1"),
        ("OAK.example.org", "oak.Example.org", "oak.example.org"),
    ],
)
def test_an_address_is_the_same_however_it_is_written(tmp_path: Path, a: str, b: str, shortest: str) -> None:
    (fault,) = faults(tmp_path, TWO.replace("192.0.2.8", a).replace("192.0.2.7", b))
    assert f"are one machine ({shortest}, port 22)" in fault


@pytest.mark.parametrize(
    "address", ["'::1'", "'fe80::1%eth0'", "'2001:db8::7'", "oak.example.org", "192.0.2.7"]
)
@pytest.mark.parametrize("user", ["bench@corp.example.org", "CORP\\bench", "7bench", "a+b"])
def test_what_ssh_accepts_as_address_and_user_is_accepted(tmp_path: Path, address: str, user: str) -> None:
    text = TWO.replace("192.0.2.7", address).replace("user: root", f"user: {user}\n    sudo: true")
    host = load(tmp_path, text).host("b")
    assert isinstance(host, SshHostSpec)
    assert (host.address, host.user) == (address.strip("'"), user)


@pytest.mark.parametrize(
    ("old", "new"), [("192.0.2.7", "-oProxy"), ("user: root", "user: -l"), ("192.0.2.7", "'%eth0'")]
)
def test_what_ssh_would_take_for_an_option_is_refused(tmp_path: Path, old: str, new: str) -> None:
    assert faults(tmp_path, TWO.replace(old, new))


ONE = TWO.replace("192.0.2.8", "192.0.2.7")
BEHIND = "    jump: {{address: gate{}, user: root, key: k, known_hosts: h}}\n    user: root"


def test_two_hosts_on_one_machine_are_refused(tmp_path: Path) -> None:
    text = (
        "campaign: kml: hosts 'a' and 'b' are one machine (192.0.2.7, port 22): it runs one kernel, and one"
    )
    assert faults(tmp_path, ONE) == [f"hosts.yaml:20: {text} trial, at a time"]
    other_user = ONE.replace("user: root", "user: bench\n    sudo: true", 1)
    assert len(faults(tmp_path, other_user)) == 1
    assert load(tmp_path, ONE.replace("port: 22", "port: 23", 1)).campaign.stock == ("a",)


def test_one_address_behind_two_hosts_is_two_machines(tmp_path: Path) -> None:
    first = ONE.replace("    user: root", BEHIND.format(1), 1)
    assert load(tmp_path, first).campaign.stock == ("a",)
    head, tail = first.split("  b:\n")
    assert load(tmp_path, f"{head}  b:\n{tail.replace('    user: root', BEHIND.format(2))}").campaign
    assert len(faults(tmp_path, f"{head}  b:\n{tail.replace('    user: root', BEHIND.format(1))}")) == 1


def test_two_pairs_on_one_machine_are_refused(tmp_path: Path) -> None:
    text = TWO.replace(
        "  b:\n", f"  c:\n{OTHER}  d:\n{MACHINE.replace('.7', '.9').replace('ZDI1', 'BBBB')}  b:\n", 1
    )
    text = text.replace("stock: a", "stock: [a, c]").replace("kml: b", "kml: [b, d]").replace("s: 3", "s: 4")
    (fault,) = faults(tmp_path, text)
    assert ": campaign: stock: hosts 'a' and 'c' are one machine (192.0.2.8, port 22)" in fault
    other = text.replace(".8", ".10", 1).replace("C3NzaC1lAAAA", "C3NzaC1lCCCC", 1)
    assert load(tmp_path, other).campaign.stock == ("a", "c")


def test_hosts_that_the_campaign_leaves_out_may_be_one_machine(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD.replace("  near:", f"  again:\n{MACHINE}  near:")).campaign.kml == ("near",)


def test_loops_and_rate_are_the_workloads_own_unless_they_are_given(tmp_path: Path) -> None:
    own = load(tmp_path, GOOD).campaign
    assert (own.loops, own.rate) == (None, None)
    given = load(tmp_path, GOOD.replace("scale: 0.5", "scale: 0.5\n  loops: 10000\n  rate: 12.5")).campaign
    assert (given.loops, given.rate) == (10_000, 12.5)


@pytest.mark.parametrize(
    ("given", "threads"), [("", (1,)), ("\n  threads: 4", (4,)), ("\n  threads: [4, 1]", (4, 1))]
)
def test_a_mix_is_a_workload_at_each_number_of_threads(
    tmp_path: Path, given: str, threads: tuple[int, ...]
) -> None:
    text = GOOD.replace("[getpid, wisconsin]", "[getpid, oltp_insert, calls_oltp_insert, calls_wisconsin]")
    spec = load(tmp_path, text.replace("scale: 0.5", f"scale: 0.5{given}")).campaign
    assert spec.threads == threads
    levels = ["" if number == 1 else f"_{number}_threads" for number in threads]
    mixes = [f"{name}{level}" for name in ("oltp_insert", "calls_oltp_insert") for level in levels]
    assert spec.levels == ("getpid", *mixes, "calls_wisconsin")


@pytest.mark.parametrize(
    ("given", "transports"),
    [
        ("", ["socket"]),
        ("\n  transports: tls", ["tls"]),
        ("\n  transports: [tls, socket]", ["tls", "socket"]),
    ],
)
def test_what_talks_to_the_server_is_a_workload_at_each_transport(
    tmp_path: Path, given: str, transports: list[str]
) -> None:
    text = GOOD.replace("[getpid, wisconsin]", "[getpid, oltp_insert, wisconsin_pymysql]")
    spec = load(tmp_path, text.replace("scale: 0.5", f"scale: 0.5{given}")).campaign
    assert list(spec.transports) == transports
    levels = ["" if name == "socket" else f"_{name}" for name in transports]
    served = [f"{name}{level}" for name in ("oltp_insert", "wisconsin_pymysql") for level in levels]
    assert spec.levels == ("getpid", *served)


@pytest.mark.parametrize("workload", ["oltp_insert_pymysql", "calls_oltp_insert_pymysql"])
def test_the_second_client_has_no_threads(tmp_path: Path, workload: str) -> None:
    text = GOOD.replace("[getpid, wisconsin]", f"[getpid, wisconsin_pymysql, {workload}]")
    assert load(tmp_path, text.replace("scale: 0.5", "scale: 0.5\n  threads: 1")).campaign.threads == (1,)
    (fault,) = faults(tmp_path, text.replace("scale: 0.5", "scale: 0.5\n  threads: [1, 2]"))
    assert fault.startswith("hosts.yaml:31: campaign: threads: PyMySQL's client has one thread")
    assert f": {workload} cannot have another number" in fault


def test_every_fault_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    text = (
        GOOD.replace("kernel: stock", "kernel: stok")
        .replace("memory_mb: 2048", "memory: 2048", 1)
        .replace("cpus: 1", "cpus: many", 1)
        .replace("port: 22", "port: 70000")
        .replace("workloads: [getpid, wisconsin]", "workloads: [getpit, wisconsin, wisconsin]")
        .replace("kml: near", "kml: naer")
        .replace("scale: 0.5", "scale: 0.5\n  scale: 2")
    )
    assert set(faults(tmp_path, text)) == {
        "hosts.yaml:4: host 'plain': kernel: unknown: 'stok'; did you mean 'stock'?",
        "hosts.yaml:2: host 'plain': the key 'memory_mb' is missing",
        "hosts.yaml:5: host 'plain': memory: unknown key; did you mean 'memory_mb'?",
        "hosts.yaml:6: host 'plain': cpus: must be a whole number",
        "hosts.yaml:13: host 'far': port: 70000 is not between 1 and 65535",
        "hosts.yaml:28: campaign: workloads: unknown: 'getpit'; did you mean 'getpid'?",
        "hosts.yaml:28: campaign: workloads: 'wisconsin' is listed twice",
        "hosts.yaml:26: campaign: kml: unknown: 'naer'; did you mean 'near'?",
        "hosts.yaml:31: campaign: the key 'scale' appears twice",
    }


@pytest.mark.parametrize(
    ("old", "new", "messages"),
    [
        ("kind: ssh", "kind: shh", ["10: host 'far': kind: unknown: 'shh'; did you mean 'ssh'?"]),
        ("    kind: ssh\n", "", ["9: host 'far': the key 'kind' is missing"]),
        ("kernel: kml\n    mem", "kernel: kmll\n    mem", ["19: host 'near': kernel: unknown: 'kmll'; did "]),
        ("kind: qemu\n    kernel: stock", "kind: qmu\n    kernel: stock", ["3: host 'plain': kind: unknown"]),
        (
            "clock: instructions\n  far",
            "clok: time\n    cpu: 1\n  far",
            ["8: host 'plain': clok: unknown key", "9: host 'plain': cpu: unknown key"],
        ),
        (GOOD[GOOD.index("    kind: ssh") : GOOD.index("  near:")], "    3\n", ["9: host 'far' must be a"]),
        (GOOD[GOOD.index("  stock: plain") :], "  3\n", ["24: campaign must be a mapping of names"]),
    ],
)
def test_a_fault_brings_no_others_with_it(tmp_path: Path, old: str, new: str, messages: list[str]) -> None:
    assert old in GOOD
    result = faults(tmp_path, GOOD.replace(old, new))
    assert len(result) == len(messages)
    for fault, begin in zip(result, messages, strict=True):
        assert fault.startswith(f"hosts.yaml:{begin}")


@pytest.mark.slow
def test_faults_come_in_the_order_of_the_file_each_time(tmp_path: Path) -> None:
    path = tmp_path / "hosts.yaml"
    path.write_text(GOOD.replace("    user: root", "".join(f"    x{number}: 1\n" for number in range(20))))
    argv = [
        sys.executable,
        "-c",
        "from kmlbench.cli.main import main; main()",
        "doctor",
        "--hosts",
        str(path),
    ]
    printed = [
        subprocess.run(
            argv, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stderr
        for seed in "123"
    ]
    assert [line.split(": ")[-3] for line in printed[0].splitlines() if ": unknown key" in line] == [
        f"x{number}" for number in range(20)
    ]
    assert len(set(printed)) == 1


def test_merging_is_not_supported_and_says_what_to_do(tmp_path: Path) -> None:
    text = GOOD.replace("  plain:\n", "  plain: &guest\n")
    text = text.replace(text[text.index("  near:") : text.index("campaign:")], "  near: {<<: *guest}\n")
    result = "hosts.yaml:17: host 'near': merge keys (<<) are not supported; write the fields out"
    assert faults(tmp_path, text) == [result]


def test_a_clock_from_the_command_line_goes_to_every_guest(tmp_path: Path) -> None:
    changed = campaign.with_clock(load(tmp_path, GOOD), Clock.TIME)
    clocks = [host.clock for host in changed.hosts if isinstance(host, QemuHostSpec)]
    assert clocks == [Clock.TIME, Clock.TIME]
    two = load(tmp_path, GOOD.replace("cpus: 1", "cpus: 2").replace("instructions", "time"))
    with pytest.raises(InputError, match="--clock: host 'plain': a clock that counts instructions"):
        campaign.with_clock(two, Clock.INSTRUCTIONS)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("cpus: 1", "cpus: 2", "hosts.yaml:6: host 'plain': cpus: a clock that counts instructions"),
        ("blocks: 3", "blocks: 0", "hosts.yaml:29: campaign: blocks: 0 is not between 1 and 1000"),
        ("blocks: 3", "blocks: '3'", "hosts.yaml:29: campaign: blocks: must be a whole number"),
        ("scale: 0.5", "loops: 0\n  scale: 0.5", "hosts.yaml:30: campaign: loops: 0 is not between 1"),
        ("scale: 0.5", "rate: 0\n  scale: 0.5", "hosts.yaml:30: campaign: rate: 0 is not between 0.01"),
        ("scale: 0.5", "threads: 0\n  scale: 0.5", "hosts.yaml:30: campaign: threads: 0 is not between 1"),
        ("scale: 0.5", "threads: [1,\n    151]", "hosts.yaml:31: campaign: threads: 151 is not between 1"),
        ("scale: 0.5", "threads: [4, 4]", "hosts.yaml:30: campaign: threads: 4 is listed twice"),
        ("scale: 0.5", "threads: []", "hosts.yaml:30: campaign: threads: must be a number, or a list"),
        ("scale: 0.5", "threads: [many]", "hosts.yaml:30: campaign: threads: must be a whole number"),
        (
            "scale: 0.5",
            "transports: tlss",
            "hosts.yaml:30: campaign: transports: unknown: 'tlss'; did you mean",
        ),
        ("scale: 0.5", "transports: [tcp,\n    udp]", "hosts.yaml:31: campaign: transports: unknown: 'udp'"),
        (
            "scale: 0.5",
            "transports: [tcp, tcp]",
            "hosts.yaml:30: campaign: transports: 'tcp' is listed twice",
        ),
        (
            "scale: 0.5",
            "transports: []",
            "hosts.yaml:30: campaign: transports: must be a list of at least one",
        ),
        ("scale: 0.5", "transports: 3", "hosts.yaml:30: campaign: transports: must be text"),
        ("scale: 0.5", "scale: .nan", "hosts.yaml:30: campaign: scale: must be a number"),
        ("stock: plain", "stock: far", "hosts.yaml:25: campaign: stock: host 'far' has the kml kernel"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", "nonsense", "hosts.yaml:16: host 'far': host_key: must be"),
        (
            "    host_key",
            "    known_hosts: k\n    host_key",
            "hosts.yaml:17: host 'far': host_key: give the key",
        ),
        (
            "host_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5",
            "sudo: no",
            "hosts.yaml:16: host 'far': sudo: must",
        ),
        ("user: root", "user: bench", "hosts.yaml:14: host 'far': user: 'bench' is not"),
        (
            "user: root",
            "user: -oProxyCommand=x",
            "hosts.yaml:14: host 'far': user: must be a user name",
        ),
        ("192.0.2.7", "a b", "hosts.yaml:12: host 'far': address: must be a host name or an address"),
        (
            "port: 22",
            "reboot: true\n    boot_deadline_s: 1",
            "hosts.yaml:14: host 'far': boot_deadline_s: 1",
        ),
        ("port: 22", "jump: gate", "hosts.yaml:13: host 'far': jump must be a mapping"),
        ("port: 22", "jump: {address: gate}", "hosts.yaml:13: host 'far': jump: the key 'user' is missing"),
        ("kml: near", "kml: far", "hosts.yaml:26: campaign: kml: host 'plain' is a guest that the suite"),
        ("  far:", "  '../far':", "hosts.yaml:9: hosts: '../far' is not a valid name"),
        ("[getpid, wisconsin]", "getpid", "hosts.yaml:28: campaign: workloads: must be a list"),
    ],
)
def test_one_fault(tmp_path: Path, old: str, new: str, fault: str) -> None:
    assert any(each.startswith(fault) for each in faults(tmp_path, GOOD.replace(old, new)))


def test_the_two_guests_of_a_campaign_differ_in_nothing_but_the_kernel(tmp_path: Path) -> None:
    guest = "    kind: qemu\n    kernel: {}\n    memory_mb: {}\n    cpus: 1\n"
    guest += "    cpu_model: max\n    clock: time\n"
    text = "hosts:\n  a:\n" + guest.format("stock", 1024) + "  b:\n" + guest.format("kml", 2048)
    text += GOOD[GOOD.index("campaign:") :].replace("plain", "a").replace("near", "b")
    result = "hosts 'a' and 'b' differ in memory_mb (1024, 2048); only `kernel` may differ"
    assert faults(tmp_path, text) == [f"hosts.yaml:18: campaign: kml: {result}"]
    assert load(tmp_path, text.replace("1024", "2048")).campaign.kml == ("b",)


def guests(*, stock: str, kml: str) -> str:
    """Two guests, each with its own line, and their campaign."""
    guest = "    kind: qemu\n    kernel: {0}\n    memory_mb: 1024\n    cpus: 1\n    cpu_model: max\n    {1}\n"
    text = "hosts:\n  a:\n" + guest.format("stock", stock) + "  b:\n" + guest.format("kml", kml)
    return text + GOOD[GOOD.index("campaign:") :].replace("plain", "a").replace("near", "b")


def test_both_kernels_of_a_campaign_are_of_one_linux(tmp_path: Path) -> None:
    for lines, linux in (('linux: "7.2"', "linux: '7.2'"), Base.LINUX_7_2), (("# 6.12", "# 6.12"), DEFAULT):
        config = load(tmp_path, guests(stock=lines[0], kml=lines[1]))
        assert [host.linux for host in config.hosts] == [linux, linux]
    (fault,) = faults(tmp_path, guests(stock='linux: "7.2"', kml="# 6.12"))
    assert "hosts 'a' and 'b' differ in linux (7.2, 6.12); only `kernel` may differ" in fault


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("7.2", 'linux: must be text, in quotes: "7.2"'),
        ("6.12", 'linux: must be text, in quotes: "6.12"'),
        ("7", "linux: must be text"),
        ('"7.1"', "linux: unknown: '7.1'; did you mean '7.2'?"),
        ('"stock"', "linux: unknown: 'stock'; known: 6.12, 7.2"),
    ],
)
def test_a_linux_that_is_none(tmp_path: Path, written: str, fault: str) -> None:
    text = guests(stock=f"linux: {written}", kml="# 6.12")
    assert faults(tmp_path, text) == [f"hosts.yaml:8: host 'a': {fault}"]


PAIRS = GOOD.replace("stock: plain", "stock: [plain, plain2]").replace("kml: near", "kml: [near, near2]")
GUEST = GOOD[GOOD.index("    kind: qemu") : GOOD.index("  far:")]
MORE = f"  plain2:\n{GUEST}  near2:\n{GUEST.replace('kernel: stock', 'kernel: kml')}campaign:"
FOUR = PAIRS.replace("campaign:", MORE).replace("blocks: 3", "blocks: 4")


def test_several_pairs_of_hosts(tmp_path: Path) -> None:
    spec = load(tmp_path, FOUR).campaign
    assert (spec.stock, spec.kml) == (("plain", "plain2"), ("near", "near2"))


@pytest.mark.parametrize(
    ("pairs", "blocks", "at_once"), [(1, 9, 1), (2, 4, 2), (2, 3, 1), (2, 1, 1), (3, 4, 2), (64, 9, 4)]
)
def test_so_many_pairs_of_guests_as_have_two_blocks_each(
    tmp_path: Path, pairs: int, blocks: int, at_once: int
) -> None:
    spec = load(tmp_path, GOOD.replace("blocks: 3", f"blocks: {blocks}\n  pairs: {pairs}")).campaign
    assert spec.host_pairs == (("plain", "near"),) * at_once


def test_pairs_of_guests_that_are_listed_may_be_there_several_times(tmp_path: Path) -> None:
    spec = load(tmp_path, FOUR.replace("blocks: 4", "blocks: 8\n  pairs: 9")).campaign
    assert spec.host_pairs == (("plain", "near"), ("plain2", "near2")) * 2


def test_a_machine_cannot_be_there_twice(tmp_path: Path) -> None:
    far = GOOD[GOOD.index("  far:") : GOOD.index("  near:")]
    stock = (
        far.replace("far", "away").replace("192.0.2.7", "192.0.2.8").replace("kernel: kml", "kernel: stock")
    )
    text = GOOD.replace("  near:", f"{stock}  near:").replace("stock: plain", "stock: away")
    text = text.replace("kml: near", "kml: far").replace("blocks: 3", "blocks: 4\n  pairs: 2")
    fault = "pairs: host 'away' is a machine that is already running: it cannot be there 2 times"
    assert any(fault in each for each in faults(tmp_path, text)), faults(tmp_path, text)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("[near, near2]", "near", "kml: 2 stock and 1 kml hosts do not form pairs"),
        ("[near, near2]", "[near, near]", "kml: 'near' is listed twice"),
        ("[near, near2]", "[near, plain2]", "kml: host 'plain2' has the stock kernel, not kml"),
        (
            "[near, near2]",
            "[near, far]",
            "host 'far' is a machine that is already running: they cannot be compared",
        ),
        ("[near, near2]", "[near, nearer]", "kml: unknown: 'nearer'"),
        ("blocks: 4", "blocks: 3", "blocks: 2 pairs of hosts need at least 4 blocks"),
        ("    memory_mb: 2048", "    memory_mb: 1024", "kml: hosts 'plain' and 'plain2' differ in memory_mb"),
    ],
)
def test_faults_of_several_pairs(tmp_path: Path, old: str, new: str, fault: str) -> None:
    text = FOUR.replace(old, new, 1)
    assert text != FOUR
    assert any(fault in each for each in faults(tmp_path, text)), faults(tmp_path, text)


def test_options_of_the_command_line_replace_the_file_and_are_checked_with_it(tmp_path: Path) -> None:
    path = tmp_path / "hosts.yaml"
    path.write_text(GOOD.replace("cpus: 1", "cpus: none", 1))
    given_options = {"blocks": option("--blocks", "x"), "workloads": read_options("--workloads", ["oltp"])}
    with pytest.raises(InputError) as caught:
        campaign.load_config(path, campaign=given_options)
    assert [fault.split(": ")[0] for fault in caught.value.faults] == [
        f"{path}:6",
        "--workloads",
        "--blocks",
    ]
    path.write_text(GOOD)
    loaded = campaign.load_config(path, campaign={"blocks": option("--blocks", "7")})
    assert loaded.campaign.blocks == 7


def test_an_unknown_host_gets_a_suggestion(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no host is called 'plan'; did you mean 'plain'"):
        load(tmp_path, GOOD).host("plan")


FAULTY = (
    "hosts: [",
    "hosts: 3",
    GOOD.replace("blocks: 3", "blocks: x"),
    b"\xff",
    "a: !!binary x\n--- \n b: 1",
)


@pytest.mark.parametrize("content", FAULTY)
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_says_where_the_fields_are_described(
    tmp_path: Path, command: tuple[str, ...], content: str | bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "hosts.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert run(command, path) == 2
    printed = capsys.readouterr().err
    assert printed.count("remedy: ") == 1
    assert "remedy: docs/hosts.md explains every field; `kmlbench host schema` prints a schema" in printed
    assert "--help" not in printed


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_file_that_is_not_there(
    tmp_path: Path, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command, tmp_path / "none.yaml") == 2
    printed = capsys.readouterr().err
    assert (
        "none.yaml: cannot be read: No such file or directory\n  remedy: name a file with --hosts, or"
        in printed
    )


@pytest.mark.parametrize("option", [("--bloks", "3"), ("--blocks", "0"), ("--clock", "fast")])
def test_a_fault_of_an_option_leads_to_the_help(
    tmp_path: Path, option: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "hosts.yaml"
    path.write_text(GOOD)
    assert run(("run-benchmark", *option), path) == 2
    assert capsys.readouterr().err.endswith("  remedy: see `run-benchmark --help`\n")
    path.write_text(GOOD.replace("scale: 0.5", "scale: x"))
    assert run(("run-benchmark", *option), path) == 2
    assert re.search("remedy: docs/hosts.md .*; see `run-benchmark --help`$", capsys.readouterr().err)


LINES = GOOD.splitlines()
MUTATED = st.lists(
    st.sampled_from([*LINES, "  - 1", "x: &a [*a]", "? {a: b}", "  ? [1]", "<<: *b"]), max_size=30
)


@pytest.mark.slow
@settings(deadline=None)
@given(st.one_of(st.text(), st.binary(), MUTATED.map("\n".join)))
@example("[" * 3000)
@example("a: &a 1\nb: &a 2\n")
@example("hosts: &h {a: *h}\ncampaign: *h\n")
@example("%YAML 9.9\n---\na: 1")
@example("a: !!binary x\n--- \n b: 1")
@example("hosts: 2001-99-99\n")
def test_any_file_gives_a_config_or_an_input_error(content: str | bytes) -> None:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "hosts.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode(errors="surrogatepass"))
        with suppress(InputError):
            assert isinstance(campaign.load_config(path), campaign.Config)


@pytest.mark.parametrize(
    ("text", "number"), [("1e-2", 0.01), ("5E-1", 0.5), ("1.5e+0", 1.5), ("1e1", 10), ("2.", 2), (".5", 0.5)]
)
def test_a_number_may_have_an_exponent_wherever_numbers_are_read(
    tmp_path: Path, text: str, number: float
) -> None:
    written = GOOD.replace("scale: 0.5", f"scale: {text}")
    assert load(tmp_path, written).campaign.scale == number
    path = tmp_path / "hosts.yaml"
    options = {"scale": option("--scale", text), "blocks": option("--blocks", "1e1")}
    overridden = campaign.load_config(path, campaign=options).campaign
    assert (overridden.scale, overridden.blocks) == (number, 10)


@pytest.mark.parametrize("text", ["1e400", "1e-", "e5", "1e2e3", "0x1p3", "1_0"])
def test_what_is_no_number_is_refused_with_its_key(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"campaign: scale: must be a number"):
        load(tmp_path, GOOD.replace("scale: 0.5", f"scale: {text}"))
