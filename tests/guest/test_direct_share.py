# SPDX-License-Identifier: MIT
"""In steady state nearly all system calls of MySQL, sysbench and Python are direct, in whatever they do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

import pytest
from support.databases import emptied, samples
from support.guest_programs import check

from kmlbench.hosts.ssh import SshHost
from kmlbench.model import Prefix, Process, Server
from kmlbench.run.trial import MEASURE
from kmlbench.servers import dataset
from kmlbench.servers import server as mysql
from kmlbench.servers.server import ServerHandle
from kmlbench.workloads import probe
from kmlbench.workloads.registry import ADAPTERS
from kmlbench.workloads.steps import Setting

pytestmark = pytest.mark.guest

# sysbench's own scripts. Each is looked at LOOKS times, every INTERVAL_S, and then has done enough. Those of
# MIXES share one table; the last one empties it.
MIXES = {
    name: f"/usr/share/sysbench/{name}.lua"
    for name in (
        *("oltp_point_select", "oltp_read_only", "select_random_points", "select_random_ranges"),
        *("oltp_write_only", "oltp_read_write", "oltp_update_index", "oltp_update_non_index"),
        *("oltp_insert", "oltp_delete"),
    )
}
BULK = "/usr/share/sysbench/bulk_insert.lua"
WARM_LOOKS, LOOKS, INTERVAL_S = 3, 6, 0.4
LONGEST_S = 120
SEED = 20051

PYTHON = """
import os, re, socket, subprocess, sys, threading

def counted():
    text = open("/proc/self/status").read()
    return [int(re.search(rf"KernelModeCalls{name}:\\t(\\d+)", text)[1]) for name in ("Direct", "Trap")]

def work():
    here, there = socket.socketpair()
    for number in range(200):
        here.send(b"x")
        there.recv(1)
        os.stat("/etc/passwd")
        with open("/etc/passwd") as file:
            file.read()
        os.listdir("/etc")
    here.close()
    there.close()
    threads = [threading.Thread(target=os.getppid) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

work()
before = counted()
for _ in range(5):
    work()
print(*(late - early for early, late in zip(before, counted())))
"""


def counted(text: str, name: str) -> list[int]:
    return [int(value) for value in re.findall(rf"KernelModeCalls{name}:\t(\d+)", text)]


def steady(text: str) -> tuple[int, int]:
    """The calls, direct and by SYSCALL, between a look after WARM_LOOKS others and the last look."""
    looks = list(zip(counted(text, "Direct"), counted(text, "Trap"), strict=True))[WARM_LOOKS:]
    assert len(looks) > 2, text
    assert all(early <= late for early, late in pairwise(looks))
    return looks[-1][0] - looks[0][0], looks[-1][1] - looks[0][1]


def nearly_all_direct(direct: int, trap: int, share: float = 0.995) -> bool:
    """At least that share; bulk_insert makes so few calls that two sites used for the first time count."""
    return trap <= max(2, (1 - share) * (direct + trap))


def watch(guest: SshHost, argv: tuple[str, ...], looks: int) -> str:
    """What /proc said of a program of /trusted until it ended, or was looked at often enough and killed."""
    enough = f"[ $looks -ge {looks} ]"
    script = (
        '"$@" > /run/watched.txt 2>&1 & pid=$!; looks=0; '
        f"until {enough} || ! [ -e /proc/$pid/exe ]; do "
        f"grep KernelModeCalls /proc/$pid/status && looks=$((looks + 1)); sleep {INTERVAL_S}; done; "
        f"{enough} && kill -KILL $pid; wait $pid; status=$?; [ $status = 0 ] || [ $status = 137 ]"
    )
    return check(guest, "sh", "-c", script, "watch", *argv)


def status(guest: SshHost, server: ServerHandle) -> str:
    return check(guest, "cat", f"/proc/{server.pid}/status")


@pytest.fixture(scope="module")
def server(kml_guest: SshHost) -> Iterator[ServerHandle]:
    with mysql.running_server(kml_guest, Prefix.TRUSTED, Server.MYSQL) as handle:
        yield handle


def sysbench(handle: ServerHandle, script: str, command: str, *options: str) -> tuple[str, ...]:
    return (
        *("/trusted/bin/sysbench", script, f"--config-file={handle.password_file}", "--db-driver=mysql"),
        *(f"--mysql-socket={handle.socket}", f"--mysql-user={handle.user}"),
        *(f"--mysql-db={handle.database}", "--rand-seed=1", "--rand-type=uniform", "--table-size=2000"),
        *(*options, command),
    )


def endless(handle: ServerHandle, script: str) -> tuple[str, ...]:
    return sysbench(handle, script, "run", f"--time={LONGEST_S}", "--events=0")


def prove(guest: SshHost, handle: ServerHandle, argv: tuple[str, ...], *, looks: int = LOOKS) -> None:
    before = status(guest, handle)
    client = steady(watch(guest, argv, looks))
    after = status(guest, handle)
    server = [counted(after, name)[0] - counted(before, name)[0] for name in ("Direct", "Trap")]
    assert nearly_all_direct(*client), (client, check(guest, "cat", "/run/watched.txt"))
    assert server[0] > 0
    assert nearly_all_direct(*server), server


def test_bulk_insert_of_sysbench(kml_guest: SshHost, server: ServerHandle) -> None:
    """The first one: its table has the name of the others' and other columns."""
    check(kml_guest, *sysbench(server, BULK, "prepare"))
    try:
        prove(kml_guest, server, endless(server, BULK))
    finally:
        check(kml_guest, *sysbench(server, BULK, "cleanup"))


@pytest.fixture(scope="module")
def table(kml_guest: SshHost, server: ServerHandle) -> Iterator[None]:
    """What every mix but bulk_insert finds: sysbench's own scripts make the same one."""
    check(kml_guest, *sysbench(server, MIXES["oltp_read_write"], "prepare"))
    yield
    check(kml_guest, *sysbench(server, MIXES["oltp_read_write"], "cleanup"))


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("mix", MIXES)
def test_a_mix_of_sysbench(kml_guest: SshHost, server: ServerHandle, mix: str) -> None:
    prove(kml_guest, server, endless(server, MIXES[mix]))


def test_wisconsin(kml_guest: SshHost, server: ServerHandle) -> None:
    dataset.load_tables("wisconsin", kml_guest, server)
    steps = ADAPTERS["wisconsin"].steps(server.setting(seed=1, scale=2.0))
    prove(kml_guest, server, next(step.argv for step in steps if step.measured), looks=2 * LOOKS)


def test_python(kml_guest: SshHost) -> None:
    direct, trap = (int(word) for word in check(kml_guest, "/trusted/bin/python3", "-c", PYTHON).split())
    assert direct > 0
    assert nearly_all_direct(direct, trap, 0.99), (direct, trap)


def test_the_calls_of_syscalls_become_direct(kml_guest: SshHost) -> None:
    """Each loop through libc, the paths that can be cancelled among them: a few SYSCALLs, then jumps."""
    setting = Setting(prefix=Prefix.TRUSTED, socket="", user="", password_file="", seed=SEED, scale=0.1)
    report = "/run/test-syscalls.json"
    (step,) = ADAPTERS["syscalls"].steps(setting)
    check(kml_guest, MEASURE, "--report", report, "--", *step.argv)
    client = probe.parse_report(check(kml_guest, "cat", report)).client
    direct, trapped = (client.counted(f"KernelModeCalls{kind}") for kind in ("Direct", "Trap"))
    # Ten calls a round and send_recv's second; clock_gettime by the vDSO is none.
    assert direct >= 10 * 1000 * 7
    assert trapped < 200


def test_the_second_client_is_in_kernel_mode_below_trusted(kml_guest: SshHost, server: ServerHandle) -> None:
    emptied(kml_guest, server)
    prepare, measured = ADAPTERS["oltp_read_write_pymysql"].steps(server.setting(seed=SEED, scale=0.02))
    check(kml_guest, *prepare.argv)
    report = "/run/test-second-client.json"
    check(kml_guest, MEASURE, "--report", report, "--server", str(server.pid), "--", *measured.argv)
    result = probe.parse_report(check(kml_guest, "cat", report))
    assert result.client.kernel_mode is True
    assert result.executable == "/trusted/bin/python3"
    assert {Process.CLIENT, Process.SERVER} <= {each.process for each in probe.resources(result)}


def test_calls_are_counted_by_name_and_the_server_is_let_go(kml_guest: SshHost, server: ServerHandle) -> None:
    """Each query is a send and a receive of the client's; direct calls are counted like others."""
    emptied(kml_guest, server)
    counted = samples(kml_guest, "calls_oltp_point_select", server.setting(seed=SEED, scale=0.025))
    tracers = check(kml_guest, "sh", "-c", f"grep -h TracerPid /proc/{server.pid}/task/*/status")
    assert set(tracers.split()) == {"TracerPid:", "0"}
    result = {(sample.process, sample.metric): sample.value for sample in counted}
    queries = result[Process.CLIENT, "queries"]
    assert queries == 300
    for process in (Process.CLIENT, Process.SERVER):
        assert queries <= result[process, "calls_sendto"] < 1.2 * queries
        assert queries <= result[process, "calls_recvfrom"]
