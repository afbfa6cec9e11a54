# SPDX-License-Identifier: MIT
"""One trial on a host: an empty schema, the workload's steps, its numbers, and their proof."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from kmlbench.errors import HostError, InputError, ProofError, TrialError
from kmlbench.model import CommandResult, Host, Proof, Sample, Server, Trial
from kmlbench.results import profiles, recording, writer
from kmlbench.results.reader import COMMANDS, MEASURED, PRIVILEGE
from kmlbench.results.writer import CampaignDirectory
from kmlbench.run.recording import BootRecording
from kmlbench.servers import dataset, service
from kmlbench.servers.options import PROGRAMS
from kmlbench.servers.server import ServerHandle
from kmlbench.workloads import measure, probe
from kmlbench.workloads.base import Adapter, Provisioned
from kmlbench.workloads.steps import Rounds, Setting, Step

MEASURE = "/usr/lib/kmlbench/measure"

ROUNDS = "/usr/lib/kmlbench/rounds"

REPORT = "/run/kmlbench-measure.json"

SCHEMA_TIMEOUT_S = 120.0

FORGET = ("rm", "-f", REPORT)

FORGET_TIMEOUT_S = 30.0

SETTLE_S = 120

OUTPUT_CHARACTERS = 1000

ANALYZE = """
USE {schema};
SELECT CONCAT('ANALYZE TABLE ', GROUP_CONCAT(table_name)) INTO @analysis
FROM information_schema.tables WHERE table_schema = '{schema}';
PREPARE analysis FROM @analysis;
EXECUTE analysis;
"""

FEW_PAGES = 8

# A server with dirty pages writes them back some seconds after its last change, for as many instructions as
# some hundred events have. A limit of 0 has it write them at its next look, which comes every second. Waiting
# for two in one connection leaves the number of connections the same: by that, MySQL chooses one of 16 table
# caches. An idle MySQL writes none, by innodb_idle_flush_pct=0 (servers.options); MariaDB lacks it, and skips
# /*!80018 */: it always waits for two, MySQL only where the first look left pages.
FLUSH = f"""
SET @lwm = @@GLOBAL.innodb_max_dirty_pages_pct_lwm, @limit = @@GLOBAL.innodb_max_dirty_pages_pct;
SET @done = 0 /*!80018 , @idle = @@GLOBAL.innodb_idle_flush_pct, GLOBAL innodb_idle_flush_pct = 100 */;
SET GLOBAL innodb_max_dirty_pages_pct_lwm = 0;
SET GLOBAL innodb_max_dirty_pages_pct = 0;
DO SLEEP(1.1);
SET @dirty = NULL /*!80018 , @dirty = (SELECT variable_value FROM performance_schema.global_status
    WHERE variable_name = 'Innodb_buffer_pool_pages_dirty') */;
DO SLEEP(IF(@dirty <= {FEW_PAGES}, 0, 1.1));
SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty';
SET @done = 1 /*!80018 , GLOBAL innodb_idle_flush_pct = @idle */;
SET GLOBAL innodb_max_dirty_pages_pct = @limit;
SET GLOBAL innodb_max_dirty_pages_pct_lwm = @lwm;
"""

FLUSHES = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What the trials of one group share: the host, its kernel's release, and the server, if there is one.

    `recording` is that of the instrument, where it is loaded.
    """

    host: Host
    release: str
    server: Server
    handle: ServerHandle | None
    directory: CampaignDirectory
    recording: BootRecording | None = None


def perform(
    bench: Bench, trial: Trial, adapter: Adapter, setting: Setting
) -> tuple[Proof, tuple[Sample, ...]]:
    """Run `trial` and return its proof and its numbers; the raw output is stored as it arrives.

    Raises TrialError or CommandTimeout if it failed, ProofError if what ran contradicts the trial's
    variant.
    """
    raw = bench.directory.raw(trial)
    with _provided(bench.host, adapter, setting) as placed:
        steps = [(step, measuring(step, placed)) for step in adapter.steps(placed)]
        _store_commands(raw, [argv for _, argv in steps])
        if bench.handle is not None:
            _prepare(bench, adapter, bench.handle)
        results = [_run(bench, trial, index, step, argv) for index, (step, argv) in enumerate(steps)]
    measured = [index for index, (step, _) in enumerate(steps) if step.measured]
    if len(measured) > 1:
        raise TrialError(f"{adapter.name} has {len(measured)} measured steps, not one", stage="measure")
    text = (raw / MEASURED).read_text(errors="surrogateescape") if measured else None
    report = None if text is None else probe.parse_report(text)
    counted = adapter.samples(results)
    recorded = _recorded(bench, trial, adapter, results)
    proof = _proof(bench, trial, len(steps), report)
    return proof, (*counted, *probe.resources(report, counted, driver=adapter.driver), *recorded)


def _provided(host: Host, adapter: Adapter, setting: Setting) -> AbstractContextManager[Setting]:
    """What the workload brings along is there within the block."""
    if isinstance(adapter, Provisioned):
        return service.provided(host, adapter, setting)
    return nullcontext(setting)


def _recorded(
    bench: Bench, trial: Trial, adapter: Adapter, results: Sequence[CommandResult]
) -> tuple[Sample, ...]:
    """The samples of the instrument's recording, if there is one; its tables are stored."""
    try:
        recorded = recording.read_trial(bench.directory.raw(trial), adapter, results)
    except InputError as error:
        raise TrialError(error.args[0], stage="parse") from error
    if recorded is None:
        return ()
    with writer.storing("what was recorded", bench.directory.path):
        for table in profiles.TABLES:
            table.write(bench.directory.path, trial, table.of(trial, recorded))
    return recording.samples(recorded, adapter.driver)


def unserved_setting(trial: Trial, *, seed: int, scale: float) -> Setting:
    """The setting of a workload that has no server."""
    return Setting(prefix=trial.variant.prefix, socket="", user="", password_file="", seed=seed, scale=scale)


def _proof(bench: Bench, trial: Trial, index: int, report: measure.MeasureReport | None) -> Proof:
    answer = probe.ask(bench.host, trial.variant.prefix)
    bench.directory.write_step(trial, index, PRIVILEGE, answer)
    proof = probe.proof_in(answer, report)
    if contradiction := probe.contradiction(trial.variant, proof, bench.release):
        raise ProofError(
            f"trial {trial.id}: {contradiction}",
            remedy="its numbers would belong to another cell; see the boot's console.log and dmesg in raw/",
        )
    return proof


def _prepare(bench: Bench, adapter: Adapter, handle: ServerHandle) -> None:
    """Give the workload an empty schema with its tables, independent of earlier trials in this server."""
    schema = handle.database
    _execute(bench, handle, f"DROP DATABASE IF EXISTS {schema}; CREATE DATABASE {schema}", "emptied")
    if adapter.dataset is not None:
        dataset.load_tables(adapter.dataset, bench.host, handle)


def _analyze(bench: Bench, handle: ServerHandle) -> None:
    """Give the optimizer the same statistics in every trial, instead of whenever the server computes them."""
    _execute(bench, handle, ANALYZE.format(schema=handle.database), "analyzed")


def _flush(bench: Bench, handle: ServerHandle) -> None:
    """Have the server write its dirty pages back now. Raises TrialError when some are left at last."""
    dirty = ""
    for _ in range(FLUSHES):
        _, _, dirty = _execute(bench, handle, FLUSH, "flushed").strip().rpartition("\t")
        if dirty.isdigit() and int(dirty) <= FEW_PAGES:
            return
    raise TrialError(f"{FLUSHES} times flushed, the server still has dirty pages: {dirty}", stage="prepare")


def _execute(bench: Bench, handle: ServerHandle, statements: str, done: str) -> str:
    client = _client(bench.server, handle)
    result = bench.host.run((*client, f"--execute={statements}"), timeout_s=SCHEMA_TIMEOUT_S)
    if result.returncode:
        raise TrialError(f"the schema could not be {done}: {_output(result)}", stage="prepare")
    return result.stdout


def _client(server: Server, handle: ServerHandle) -> tuple[str, ...]:
    """The server's own client, which is not measured: always the one below /usr."""
    return (
        f"/usr/{PROGRAMS[server].client}",
        f"--defaults-file={handle.password_file}",
        f"--socket={handle.socket}",
        f"--user={handle.user}",
    )


def measuring(step: Step, setting: Setting) -> tuple[str, ...]:
    """The command line of a step: a measured one runs under workloads/measure or workloads/rounds."""
    if not step.measured:
        return step.argv
    pid = setting.server_pid
    server = ("--server", str(pid), "--settle", str(SETTLE_S)) if pid else ()
    if step.rounds is None:
        return (MEASURE, "--report", REPORT, *server, "--seed", str(setting.seed), "--", *step.argv)
    return (ROUNDS, "--report", REPORT, *server, *_rounds(step, step.rounds, setting))


def _rounds(step: Step, rounds: Rounds, setting: Setting) -> tuple[str, ...]:
    commands = (step.argv, *rounds.commands)
    return (
        *("--directory", setting.directory),
        *("--work", ",".join(map(str, rounds.work))),
        *("--rounds", str(rounds.count)),
        *("--words", str(len(step.argv))),
        *(("--keep-going",) if rounds.keep_going else ()),
        "--",
        *(word for command in commands for word in command),
    )


def _store_commands(raw: Path, commands: Sequence[Sequence[str]]) -> None:
    writer.write_file(raw / COMMANDS, json.dumps([list(argv) for argv in commands], indent=2) + "\n")


def _run(bench: Bench, trial: Trial, index: int, step: Step, argv: Sequence[str]) -> CommandResult:
    timeout_s = step.timeout_s
    if (step.measured or step.traced) and bench.handle is not None:
        _analyze(bench, bench.handle)
        _flush(bench, bench.handle)
    # Where there is a server, it is awaited first.
    if step.traced or step.measured:
        timeout_s += SETTLE_S
    if not step.measured:
        return _stored(bench, trial, index, step, bench.host.run(argv, timeout_s=timeout_s))
    before = bench.recording.length() if bench.recording else 0
    with _forgetting(bench.host):
        with bench.recording.counted() if bench.recording else nullcontext():
            result = bench.host.run(argv, timeout_s=timeout_s)
        _stored(bench, trial, index, step, result)
        if bench.recording:
            bench.recording.keep(bench.directory.raw(trial), since=before)
        return result


def _stored(bench: Bench, trial: Trial, index: int, step: Step, result: CommandResult) -> CommandResult:
    bench.directory.write_step(trial, index, step.name, result)
    if result.returncode:
        raise TrialError(
            f"{step.argv[0]} ended with {result.returncode}: {_output(result)}",
            stage=step.name,
            remedy=f"read raw/{trial.id} in the campaign's directory",
        )
    if step.measured:
        bench.host.get(REPORT, bench.directory.raw(trial) / MEASURED)
    return result


@contextmanager
def _forgetting(host: Host) -> Iterator[None]:
    """Remove the report, however the step ends; a lost host keeps it until it reboots."""
    try:
        yield
    finally:
        with suppress(HostError):
            host.run(FORGET, timeout_s=FORGET_TIMEOUT_S)


def _output(result: CommandResult) -> str:
    return (result.stderr or result.stdout).strip()[-OUTPUT_CHARACTERS:] or "no output"
