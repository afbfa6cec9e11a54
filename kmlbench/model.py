# SPDX-License-Identifier: MIT
"""The vocabulary of the experiment: frozen data types that every other module uses. No input, no output."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

KERNEL_CPL, USER_CPL = 0, 3


class Kernel(StrEnum):
    """The two kernels of the experiment: one source, one configuration, with and without the patches."""

    STOCK = "stock"
    KML = "kml"


class Prefix(StrEnum):
    """Where a program is started from. Below TRUSTED lie hard copies of the files below USR."""

    USR = "/usr"
    TRUSTED = "/trusted"

    def path(self, relative: str) -> str:
        """The absolute path of `relative` (such as "sbin/mysqld") below this prefix."""
        return f"{self}/{relative}"


class Server(StrEnum):
    """The database servers the suite can drive."""

    MYSQL = "mysql"
    MARIADB = "mariadb"


class Clock(StrEnum):
    """What a guest's nanoseconds are: INSTRUCTIONS counts executed instructions (QEMU TCG with -icount)."""

    INSTRUCTIONS = "instructions"
    TIME = "time"


class Acceleration(StrEnum):
    """Who executes a guest's instructions: QEMU's translator, or the processor under KVM."""

    TCG = "tcg"
    KVM = "kvm"


class Process(StrEnum):
    """Whose resource a sample counts. TOGETHER is server plus client, as the 2005 article had it."""

    CLIENT = "client"
    SERVER = "server"
    TOGETHER = "together"

    @property
    def parts(self) -> tuple[Process, ...]:
        """The processes whose sum this is."""
        return (Process.SERVER, Process.CLIENT) if self is Process.TOGETHER else (self,)

    @classmethod
    def whole(cls, *, served: bool) -> Process:
        """What a workload costs as a whole: with a server the sum, without one the client."""
        return cls.TOGETHER if served else cls.CLIENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One cell of the experiment. `arm` is for reading a control, which boots its cell twice in a block."""

    kernel: Kernel
    prefix: Prefix
    arm: str = ""

    @property
    def kernel_mode(self) -> bool:
        """Whether programs of this cell run at CPL 0."""
        return self.kernel is Kernel.KML and self.prefix is Prefix.TRUSTED

    @property
    def cpl(self) -> int:
        """The privilege level that programs of this cell run at."""
        return KERNEL_CPL if self.kernel_mode else USER_CPL

    def __str__(self) -> str:
        return f"{self.kernel}:{self.prefix}{self.arm and f' {self.arm}'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One planned measurement: one workload in one cell, in one boot of one block.

    `boot` counts boots over the campaign and `position` trials over the campaign, both from 0; `pair` is the
    pair of hosts that runs the block, from 0.
    """

    block: int
    boot: int
    position: int
    variant: Variant
    workload: str
    pair: int = 0

    @property
    def id(self) -> str:
        """A name that is unique in the campaign and safe as a directory name."""
        cell = f"{self.variant.kernel}-{self.variant.prefix.removeprefix('/')}"
        return f"{self.position:04d}-{cell}-{self.workload}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One number that a trial produced. Absent is absent: `value` is finite or the sample is not made.

    `metric` is a word of the field (cpu_total, throughput, latency_p95, ...), `unit` its unit (s, ns,
    1/s, instructions, ...), `driver` the program that produced the load (sysbench, getpid).
    """

    metric: str
    unit: str
    value: float
    process: Process
    driver: str

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"sample {self.metric} is {self.value}, not a number")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was seen from inside the guest: the treatment that was applied, not the one that was asked for.

    `cpl` is read from CS by a program started from the trial's prefix. The kernel modes come from
    /proc/<pid>/status of the measured processes; None means that the trial has no such process, False
    also means a kernel without the field.
    """

    kernel_release: str
    cpl: int
    client_kernel_mode: bool | None = None
    server_kernel_mode: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A trial that ended with numbers and a proof.

    `resumption` counts how often its campaign had been resumed; in a record, the order of lines shows it.
    `raw` has the SHA-256 of each file of its raw output by its path there; None: not recorded.
    """

    trial: Trial
    proof: Proof
    samples: Sequence[Sample]
    started_utc: str
    elapsed_s: float
    resumption: int = 0
    raw: Mapping[str, str] | None = field(default=None, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A trial that did not end with numbers. `stage` names the step that failed, the rest is Completed's."""

    trial: Trial
    stage: str
    cause: str
    started_utc: str
    elapsed_s: float
    resumption: int = 0
    raw: Mapping[str, str] | None = field(default=None, hash=False)


Outcome = Completed | Failed


def completed(outcomes: Iterable[Outcome]) -> tuple[Completed, ...]:
    """The trials among these that ended with numbers."""
    return tuple(outcome for outcome in outcomes if isinstance(outcome, Completed))


def failed(outcomes: Iterable[Outcome]) -> tuple[Failed, ...]:
    """The trials among these that ended without numbers."""
    return tuple(outcome for outcome in outcomes if isinstance(outcome, Failed))


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """What a command on a host left behind."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    elapsed_s: float


class ByteStream(Protocol):
    """The part of a socket that PyMySQL needs; a paramiko channel has it."""

    def sendall(self, data: bytes, /) -> None: ...
    def recv(self, size: int, /) -> bytes: ...
    def settimeout(self, timeout: float | None, /) -> None: ...
    def close(self) -> None: ...


class Host(Protocol):
    """A machine that the suite works on. Its life is a context manager of the module that makes it."""

    name: str

    def run(self, argv: Sequence[str], *, timeout_s: float, stdin: bytes = b"") -> CommandResult:
        """Run `argv` without a shell of its own. A non-zero exit is a result, not an error.

        Raises CommandTimeout after `timeout_s` of this machine's time, HostError when the host is gone.
        """

    def put(self, source: Path, destination: str) -> None:
        """Copy a local file to the host."""

    def get(self, source: str, destination: Path) -> None:
        """Copy a file of the host to this machine."""

    def dial(self, port: int) -> ByteStream:
        """A stream to a TCP port of the host's own loopback interface."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One thing that a workload measures: the part of a frame that may be compared between cells."""

    workload: str
    metric: str
    process: Process


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialGroup:
    """Consecutive trials of one boot with one prefix that share a server start, or have no server."""

    prefix: Prefix
    served: bool
    trials: tuple[Trial, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """Everything that happens between a power-on and a power-off.

    `twin` counts the boots of this kernel that came before it in its block; only a control has any.
    """

    index: int
    block: int
    twin: int
    kernel: Kernel
    groups: tuple[TrialGroup, ...]
    pair: int = 0

    @property
    def trials(self) -> tuple[Trial, ...]:
        """The boot's trials, in order."""
        return tuple(trial for group in self.groups for trial in group.trials)


class Platform(StrEnum):
    """Where a campaign ran. The values appear in campaign.json and in the report's title."""

    INSTRUCTIONS = "QEMU TCG, instruction clock"
    REAL_TIME = "QEMU TCG, real time"
    KVM = "QEMU KVM"
    HOSTS = "real hosts"


FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping:
    """A rule, fixed before the first block, that may end a campaign before its plan does: see plan.stopping.

    `half_width` is relative (0.005), `confidence` that of each look; the first look is after `first` blocks,
    the next after `every` further ones.
    """

    half_width: float
    confidence: float
    first: int
    every: int
    workload: str
    metric: str
    process: Process


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCampaign:
    """What was planned and with what: everything that is known before the first trial.

    `platform` is one of "QEMU TCG, instruction clock", "QEMU TCG, real time", "QEMU KVM", "real hosts";
    `control` marks an A/A campaign: one cell, booted twice in each block; `options` are the command's
    options as they could be given again; `tools` maps a tool (qemu, gcc, python, ...) to its version.
    `definitions` has the text of each workload that a file defines, by name.
    """

    id: str
    started_utc: str
    title: str
    platform: str
    control: bool
    seed: int
    options: Mapping[str, str]
    plan: tuple[Trial, ...]
    git_commit: str
    tools: Mapping[str, str]
    stopping: Stopping | None = None
    definitions: Mapping[str, str] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def name(self) -> str:
        """What tells it from every other campaign, and its directory's name when it was made.

        A directory that was copied or renamed still has this campaign.
        """
        stamp = self.started_utc.replace("-", "").replace(":", "").split(".")[0].removesuffix("Z") + "Z"
        return f"{stamp}-{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BootFacts:
    """The facts that one boot reported before its first trial. `pair` is the plan's and not in the file.

    A boot of the plan that was lost is repeated when the campaign is resumed: `resumption` tells them apart.
    """

    boot: int
    kernel: Kernel
    facts: Mapping[str, str]
    pair: int = 0
    resumption: int = 0
