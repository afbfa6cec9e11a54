# SPDX-License-Identifier: MIT
"""The C programs of workloads/, compiled here and run here: they work on any Linux."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kmlbench.model import CommandResult
from kmlbench.paths import INSTRUMENT, WORKLOADS
from kmlbench.workloads import probe
from kmlbench.workloads.program import runs
from kmlbench.workloads.syscalls import KINDS, SYSTEM_CALLS

pytestmark = pytest.mark.slow

Programs = dict[str, Path]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    directory = tmp_path_factory.mktemp("programs")
    sources = {
        "cpl": "probe/cpl.c",
        "getpid": "getpid/getpid.c",
        "measure": "measure/measure.c",
        "rounds": "rounds/rounds.c",
        "syscalls": "syscalls/syscalls.c",
    }
    for name, source in sources.items():
        flags = ["-O2", "-pthread", "-Wall", "-Wextra", "-Werror"]
        subprocess.run(["gcc", *flags, "-o", directory / name, WORKLOADS / source], check=True)
    return {name: directory / name for name in sources}


def run(*argv: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in argv], capture_output=True, text=True, check=False, timeout=60
    )


def measure(programs: Programs, report: Path, *argv: str | Path, server: int | None = None) -> dict[str, Any]:
    observed = [] if server is None else ["--server", str(server)]
    result = run(programs["measure"], "--report", report, *observed, "--", *argv)
    assert result.returncode == 0, result.stderr
    document: dict[str, Any] = json.loads(report.read_text())
    return document


BUSY = "import time; end = time.process_time() + {}\nwhile time.process_time() < end: pass"


def test_cpl_says_what_an_ordinary_process_is(programs: Programs) -> None:
    printed = json.loads(run(programs["cpl"]).stdout)
    assert printed["cpl"] == 3
    assert printed["kernel_mode"] in (None, False)
    assert printed["release"] == os.uname().release


def test_getpid_prints_every_repetition_of_every_kind(programs: Programs) -> None:
    printed = json.loads(run(programs["getpid"], "2000", "5").stdout)
    assert (printed["calls"], printed["repetitions"]) == (2000, 5)
    for kind in ("empty", "syscall", "libc", "unknown"):
        for readings in printed[kind].values():
            assert len(readings) == 5
            assert all(type(reading) is int and reading > 0 for reading in readings)
    assert min(printed["syscall"]["cycles"]) > max(printed["empty"]["cycles"][1:])


def test_syscalls_times_each_kind_and_a_function_is_the_cheapest(programs: Programs, tmp_path: Path) -> None:
    printed = json.loads(run(programs["syscalls"], "500", "20", tmp_path).stdout)
    assert (printed["calls"], printed["repetitions"]) == (500, 20)
    # Whatever else runs on the machine can only add to them.
    least = {kind: min(printed[kind]["cycles"]) for kind in ("empty", *KINDS)}
    assert all(len(printed[kind]["nanoseconds"]) == 20 for kind in least)
    assert least["empty"] < least["function"] < min(least[kind] for kind in SYSTEM_CALLS)
    assert not list(tmp_path.iterdir())


def test_syscalls_makes_the_calls_it_is_named_after(programs: Programs, tmp_path: Path) -> None:
    """libc may answer without asking the kernel: then a loop would time something else."""
    trace = tmp_path / "trace"
    result = run("strace", "-f", "-o", trace, programs["syscalls"], "50", "1", tmp_path)
    assert result.returncode == 0, result.stderr
    asked = Counter(re.findall(r"^\d+ +(\w+)\(", trace.read_text(), re.MULTILINE))
    # The calls of a repetition and of the warm-up.
    for call in ("getpid", "sendto", "recvfrom", "poll", "pread64", "fsync", "futex"):
        assert 56 <= asked[call] < 62, call
    for call in ("read", "write", "clock_gettime"):
        assert asked[call] >= 56, call


def test_syscalls_says_what_it_could_not_prepare(programs: Programs) -> None:
    result = run(programs["syscalls"], "10", "1", "/no/such/directory")
    assert result.returncode == 1
    assert "/no/such/directory: No such file or directory" in result.stderr


@pytest.mark.parametrize("program", ["getpid", "syscalls"])
@pytest.mark.parametrize("argument", ["0", "-1", "many", "7x", "999999999999"])
def test_a_count_that_is_none_is_refused(programs: Programs, program: str, argument: str) -> None:
    result = run(programs[program], argument)
    assert result.returncode == 2
    assert f"{program}: {argument} is not a number" in result.stderr


def test_measure_counts_the_clients_time_exactly(programs: Programs, tmp_path: Path) -> None:
    result = measure(programs, tmp_path / "report", sys.executable, "-c", BUSY.format(0.3))
    client = result["client"]
    assert 0.3e9 < client["cpu_ns"] < 0.3e9 + 1e9
    assert result["wall_ns"] >= client["cpu_ns"]
    rusage_us = client["rusage_user_us"] + client["rusage_system_us"]
    assert abs(rusage_us * 1000 - client["cpu_ns"]) < 1e6
    assert client["ticks_user_ns"] <= client["ticks_both_ns"]
    assert client["minor_faults"] > 0
    assert client["executable"] == str(Path(sys.executable).resolve())
    assert probe.parse_report(json.dumps(result)).client.kernel_mode in (None, False)


def test_measure_counts_only_what_the_server_used_meanwhile(programs: Programs, tmp_path: Path) -> None:
    threads = "import threading, sys\ndef work():\n    sys.stdin.readline()\n" + "\n".join(
        f"    {line}" for line in BUSY.format(0.3).splitlines()
    )
    code = f"{BUSY.format(0.2)}\n{threads}\nthreading.Thread(target=work).start()\nprint('ready', flush=True)"
    server = subprocess.Popen(
        [sys.executable, "-c", code + "\nimport time; time.sleep(60)"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdout.readline()
        poke = f"import os, time; os.write({server.stdin.fileno()}, b'go\\n'); time.sleep(1)"
        result = subprocess.run(
            [
                *(str(programs["measure"]), "--report", str(tmp_path / "report")),
                *("--server", str(server.pid), "--", sys.executable, "-c", poke),
            ],
            pass_fds=[server.stdin.fileno()],
            check=True,
            timeout=60,
        )
        server.kill()
    assert result.returncode == 0
    document = json.loads((tmp_path / "report").read_text())["server"]
    assert document["pid"] == server.pid
    assert document["threads"] == 2 - document["threads_ended"]
    assert 0.25e9 < document["cpu_ns"] < 0.45e9
    assert document["ticks_both_ns"] > 0


@contextmanager
def busy_for(seconds: float) -> Iterator[subprocess.Popen[str]]:
    """A server that works at first, and then rests."""
    code = f"print(flush=True)\n{BUSY.format(seconds)}\nimport time; time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        server.stdout.readline()
        yield server
        server.kill()


def test_measure_waits_until_the_server_rests(programs: Programs, tmp_path: Path) -> None:
    report = tmp_path / "report"
    with busy_for(1.5) as server:
        arguments = ("--server", str(server.pid), "--settle", "60", "--", "/bin/true")
        assert run(programs["measure"], "--report", report, *arguments).returncode == 0
    assert json.loads(report.read_text())["server"]["cpu_ns"] < 0.02e9


def test_measure_says_that_a_server_does_not_rest(programs: Programs, tmp_path: Path) -> None:
    report = tmp_path / "report"
    with busy_for(60) as server:
        arguments = ("--server", str(server.pid), "--settle", "1", "--", "/bin/true")
        result = run(programs["measure"], "--report", report, *arguments)
    assert result.returncode == 125
    assert "the server is still busy" in result.stderr
    assert not report.exists()


def test_measure_passes_the_clients_output_and_status_on(programs: Programs, tmp_path: Path) -> None:
    shell = ("/bin/sh", "-c", "echo out; echo err >&2; exit 7")
    result = run(programs["measure"], "--report", tmp_path / "report", "--", *shell)
    assert (result.stdout, result.stderr, result.returncode) == ("out\n", "err\n", 7)
    assert json.loads((tmp_path / "report").read_text())["client"]["exit"] == 7


# LuaJIT asks by number.
DRAWS = """
import ctypes, os
buffer = ctypes.create_string_buffer(9)
assert ctypes.CDLL(None).syscall(318, buffer, 9, 0) == 9
print(os.getrandom(13).hex(), buffer.raw.hex(), hash("key"))
"""


def draws(programs: Programs, report: Path, *seed: str) -> str:
    client = (sys.executable, "-c", DRAWS)
    result = run(programs["measure"], "--report", report, *seed, "--", *client)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def test_measure_gives_the_client_random_numbers_from_a_seed(programs: Programs, tmp_path: Path) -> None:
    made = ("-fPIC", "-shared", "-o", programs["measure"].parent / "libkmlbench-seed.so")
    flags = ("-O2", "-Wall", "-Wextra", "-Werror", *made, INSTRUMENT / "seed.c")
    without = [draws(programs, tmp_path / "report", "--seed", "7") for _ in range(2)]
    subprocess.run(("gcc", *flags), check=True)
    seven, again, eight = (draws(programs, tmp_path / "report", "--seed", seed) for seed in "778")
    none = draws(programs, tmp_path / "report")
    assert seven == again
    assert len({*without, seven, eight, none}) == 5


def test_measure_says_which_signal_ended_the_client(programs: Programs, tmp_path: Path) -> None:
    result = run(programs["measure"], "--report", tmp_path / "report", "--", "/bin/sh", "-c", "kill -SEGV $$")
    assert result.returncode == 128 + 11
    report = probe.parse_report((tmp_path / "report").read_text())
    assert (report.exit, report.signal) == (None, 11)


def test_measure_reports_odd_names_as_json(programs: Programs, tmp_path: Path) -> None:
    odd = tmp_path / 'a "quoted"\\ na\nme'
    odd.symlink_to(tmp_path / "other \\ name")
    (tmp_path / "other \\ name").write_bytes(Path("/bin/true").read_bytes())
    odd.chmod(0o755)
    result = measure(programs, tmp_path / "report", odd)
    assert result["client"]["executable"] == str(tmp_path / "other \\ name")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--report", "{report}", "--", "/no/such/program"], 127, "/no/such/program: No such file"),
        (["--report", "{report}", "--server", "999999999", "--", "/bin/true"], 125, "/proc"),
        (["--report", "{report}", "--server", "x", "--", "/bin/true"], 125, "usage"),
        (["--report", "{report}", "--server", "1", "--settle", "0", "--", "/bin/true"], 125, "usage"),
        (["--report", "{report}", "--settle", "9", "--", "/bin/true"], 125, "usage"),
        (["--report", "/no/such/directory/report", "--", "/bin/true"], 125, "/no/such/directory"),
        (["--", "/bin/true"], 125, "usage"),
        (["--report", "{report}", "--"], 125, "usage"),
    ],
)
def test_measure_writes_no_report_of_what_it_did_not_see(
    programs: Programs, tmp_path: Path, arguments: list[str], status: int, message: str
) -> None:
    report = tmp_path / "report"
    result = run(programs["measure"], *(argument.format(report=report) for argument in arguments))
    assert result.returncode == status
    assert message in result.stderr
    assert not report.exists()


def test_the_client_does_not_outlive_the_observer(programs: Programs, tmp_path: Path) -> None:
    client_argv = ("/bin/sh", "-c", "echo $$; exec sleep 60")
    argv = [str(programs["measure"]), "--report", str(tmp_path / "report"), "--", *client_argv]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as observer:
        assert observer.stdout is not None
        client = int(observer.stdout.readline())
        observer.kill()
    deadline = time.monotonic() + 10
    while alive(client):
        assert time.monotonic() < deadline, f"{client} still runs"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie nobody has collected does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def run_rounds(
    programs: Programs, directory: Path, *command: str, work: str = "1,2,4", more: Sequence[str] = ()
) -> CommandResult:
    """The command with each amount of work for {}."""
    commands = [word.replace("{}", amount) for amount in work.split(",") for word in command]
    places = ("--report", directory / "report.json", "--directory", directory)
    options = ("--work", work, "--rounds", "2", "--words", str(len(command)), *more)
    result = run(programs["rounds"], *places, *options, "--", *commands)
    return CommandResult(
        argv=(), returncode=result.returncode, stdout=result.stdout, stderr=result.stderr, elapsed_s=1.0
    )


def test_rounds_runs_both_amounts_in_turn_and_tells_each_run(programs: Programs, tmp_path: Path) -> None:
    result = run_rounds(programs, tmp_path, "/bin/sh", "-c", "seq {}; pwd; cat; echo {} >&2")
    assert [(run.work, run.stdout.split()[-2:], run.stderr) for run in runs(result)] == [
        (work, [str(work), str(tmp_path)], f"{work}\n") for work in (1, 2, 4, 2, 4)
    ]
    report = json.loads((tmp_path / "report.json").read_text())
    assert [measured["work"] for measured in report["runs"]] == [2, 4, 2, 4]
    assert report["client"]["cpu_ns"] == sum(measured["client_cpu_ns"] for measured in report["runs"])
    assert probe.parse_report(json.dumps(report)).exit == 0
    assert "rounds" in report["observer"]["maps"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.json"]


def test_the_mappings_of_the_first_run_are_those_of_the_others(programs: Programs, tmp_path: Path) -> None:
    result = run_rounds(programs, tmp_path, "/bin/cat", "/proc/self/maps", work="1,1")
    recorded = json.loads((tmp_path / "report.json").read_text())["client"]["maps"]
    for measured in runs(result)[1:]:
        executable = [line for line in measured.stdout.splitlines() if line.split()[1][2] == "x"]
        assert executable == recorded.splitlines()


def test_rounds_counts_the_children_of_a_client(programs: Programs, tmp_path: Path) -> None:
    busy = BUSY.format("0.1")
    run_rounds(programs, tmp_path, "/bin/sh", "-c", f"{sys.executable} -c '{busy}'; true", work="1,1")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["client"]["cpu_ns"] > 100_000_000
    assert report["client"]["ticks_both_ns"] == 0


@pytest.mark.parametrize(("command", "status"), [("exit 3", 3), ("kill -KILL $$", 137)])
def test_a_run_that_fails_ends_them_unless_it_may(
    programs: Programs, tmp_path: Path, command: str, status: int
) -> None:
    failing = ("/bin/sh", "-c", command)
    assert run_rounds(programs, tmp_path, *failing).returncode == status
    assert not (tmp_path / "report.json").exists()
    result = run_rounds(programs, tmp_path, *failing, more=["--keep-going"])
    assert result.returncode == 0
    assert {(run.signaled, run.status) for run in runs(result)} == {(status > 128, status % 128)}


def test_an_output_of_a_hundred_megabytes_is_counted_and_its_beginning_kept(
    programs: Programs, tmp_path: Path
) -> None:
    result = run_rounds(programs, tmp_path, "/usr/bin/head", "-c", "100000000", "/dev/zero", work="1,1")
    first, second, _ = runs(result)
    assert (first.stdout_bytes, len(first.stdout)) == (100_000_000, 1 << 18)
    assert first.stdout_digest == second.stdout_digest


@pytest.mark.parametrize("more", [["--words", "7"], ["--rounds", "0"], ["--settle", "3"], ["--what", "1"]])
def test_rounds_refuses_a_command_line_that_makes_no_sense(
    programs: Programs, tmp_path: Path, more: list[str]
) -> None:
    result = run_rounds(programs, tmp_path, "/bin/true", more=more)
    assert (result.returncode, result.stderr.splitlines()[0][:13]) == (125, "usage: rounds")


BYTES = rb"\303\274 \342\202\254 \360\237\230\200 \377 \300\257 \355\240\200 \360\200 \364\220 \342\202"


def test_bytes_that_are_no_characters_do_not_shift_the_runs(programs: Programs, tmp_path: Path) -> None:
    result = run_rounds(programs, tmp_path, "/usr/bin/printf", BYTES.decode(), work="1,1")
    decoded = [run.stdout for run in runs(result)]
    assert decoded == ["ü € 😀 ? ?? ??? ?? ?? ??"] * 3


def test_rounds_says_when_there_is_no_such_program(programs: Programs, tmp_path: Path) -> None:
    result = run_rounds(programs, tmp_path, "/bin/nothing-of-this-name")
    assert result.returncode == 127
    assert "cannot execute /bin/nothing-of-this-name: No such file" in result.stderr
