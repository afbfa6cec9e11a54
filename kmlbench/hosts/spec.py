# SPDX-License-Identifier: MIT
"""A host as hosts.yaml describes it. A new kind is a HostSpec in a module of its own, and a line in kinds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

from kmlbench.build.bases import Base
from kmlbench.build.image import NOTHING, Extras
from kmlbench.errors import HostError, MachineError
from kmlbench.hosts.base import Claim, Job, Ready, Size
from kmlbench.model import Clock, Host, Kernel, Server
from kmlbench.paths import home
from kmlbench.rules import PLAIN

CONNECT_DEADLINE_S = 60.0


class HostSpec(ABC):
    """A host as hosts.yaml describes it.

    A kind is a frozen dataclass. Its fields, other than `name`, are the keys of hosts.yaml; their types and
    their metadata (below) are the rules by which config reads the file and makes its JSON schema.
    """

    __slots__ = ()

    kind: ClassVar[str]
    about: ClassVar[str]
    # Programs that it needs on this machine.
    programs: ClassVar[tuple[str, ...]] = ()
    # Whether it is still there after the campaign, with what a dead controller left on it.
    outlasts: ClassVar[bool] = False

    name: str
    kernel: Kernel

    @property
    @abstractmethod
    def description(self) -> str:
        """The name, and where or what it is, for a reader."""

    @property
    @abstractmethod
    def claim(self) -> Claim:
        """The machine that a campaign on this host claims for itself."""

    @property
    def size(self) -> Size | None:
        """What it uses of this machine when it is booted here; None for a host that already runs."""
        return None

    @property
    def machine(self) -> str | None:
        """The machine that no other host of a campaign may be on; None if several may share one."""
        return None

    def same_machine(self, other: HostSpec) -> str:
        """By what this host and another are one machine, as far as hosts.yaml shows it; empty if not."""
        return self.machine if self.machine is not None and self.machine == other.machine else ""

    @classmethod
    def conflicts(cls, given: Mapping[str, object]) -> Iterator[tuple[str, str]]:
        """The keys that do not go together, each with the reason; `given` are the valid keys, as written."""
        del given
        yield from ()

    def differences(self, other: HostSpec) -> Iterator[str]:
        """Why this host and another of its kind cannot be compared."""
        del other
        yield from ()

    @property
    def linux(self) -> Base | None:
        """The version of Linux that it is booted with; None for a host that has one already."""
        return None

    def with_linux(self, base: Base) -> HostSpec:
        """This host with this version of Linux, if it is booted with one."""
        del base
        return self

    def with_clock(self, clock: Clock) -> HostSpec:
        """This host with this clock, if it has a clock to set. Raises ValueError for one it cannot have."""
        del clock
        return self

    def unusable(self) -> Iterator[tuple[tuple[str, ...], HostError]]:
        """The keys whose files cannot be used, each with the reason. Contacts no host."""
        yield from ()

    @abstractmethod
    def outlook(self, server: Server, kernels: Iterable[Kernel], extras: Extras = NOTHING) -> Iterator[str]:
        """What a boot of the plan is, and what is built first. Contacts no host."""

    @classmethod
    @abstractmethod
    def prepare(cls, pairs: Sequence[Mapping[Kernel, Any]], job: Job) -> Ready:
        """Build what these hosts of its kind lack, or check that they answer.

        Raises MachineError or HostError.
        """

    def connection(self, deadline_s: float = CONNECT_DEADLINE_S) -> AbstractContextManager[Host]:
        """A connection to a host that already runs, as root. Raises HostError."""
        del deadline_s
        raise HostError(f"{self.name} is {self.about}: it runs during a boot of the plan only")


class Beside:
    """Marks a path in hosts.yaml: `~` is the home directory, a relative path is relative to the file."""

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> dict[str, object]:
        """The validator of such a path; its context has the directory of the file."""
        del source, handler
        text = {"type": "str", "pattern": f"^(?:{PLAIN})$"}
        return {
            "type": "function-after",
            "function": {"type": "with-info", "function": _beside},
            "schema": text,
        }


def _beside(text: str, info: Any) -> Path:
    path = Path(text)
    if path.parts[:1] != ("~",):
        return Path(info.context) / path
    try:
        return home().joinpath(*path.parts[1:])
    except MachineError as error:
        raise ValueError(error.args[0]) from error
