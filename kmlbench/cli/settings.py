# SPDX-License-Identifier: MIT
"""The options of `run-benchmark` together with hosts.yaml, and the faults of both."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from kmlbench.build.bases import Base
from kmlbench.cli import design
from kmlbench.cli.design import Design
from kmlbench.config import campaign
from kmlbench.config.campaign import CampaignSpec, Config, with_clock, with_linux
from kmlbench.config.yamlfile import (
    ConfigError,
    Faults,
    Option,
    option,
    read_numbers,
    read_options,
    suggestion,
)
from kmlbench.errors import InputError
from kmlbench.model import Clock, Trial
from kmlbench.paths import WORKLOADS
from kmlbench.plan import schedule
from kmlbench.plan.schedule import COSTS
from kmlbench.progress import Planned
from kmlbench.run import preflight, setup
from kmlbench.workloads import files
from kmlbench.workloads.definition import Definition
from kmlbench.workloads.registry import need_server

NUMBERS = ("blocks", "seed", "scale", "loops", "rate", "server", "pairs")

Word = TypeVar("Word", bound=StrEnum)

HELP = "see `run-benchmark --help`"


def read_settings(arguments: argparse.Namespace) -> tuple[Config, Design]:
    """hosts.yaml with its defaults overridden by the options. Raises InputError with the faults of both."""
    faults = Faults(messages=list(arguments.faults))
    clock = _chosen("--clock", arguments.clock, Clock, faults)
    linux = _chosen("--kernel", arguments.kernel, Base, faults)
    chosen = design.parse_design(arguments, faults)
    try:
        settings = campaign.load_config(arguments.hosts, campaign=_given(arguments))
        # On a cluster the workers log in, each with its own files.
        if arguments.cluster is None:
            preflight.logins(settings, setup.hosts(settings, chosen.kernels))
    except InputError as error:
        raise _together(faults.messages, error) from error
    faults.check(remedy=HELP)
    design.require_usable_rule(chosen, settings.campaign)
    settings = settings if linux is None else with_linux(settings, linux)
    return (settings if clock is None else with_clock(settings, clock)), chosen


def _together(faults: Sequence[str], error: InputError) -> InputError:
    """The faults of the options and of hosts.yaml as one, with a remedy for each kind."""
    of_options = faults or (isinstance(error, ConfigError) and error.in_options)
    remedies = (error.remedy, HELP if of_options else "")
    return InputError(*faults, *error.faults, remedy="; ".join(filter(None, remedies)))


def _chosen(name: str, text: str | None, words: type[Word], faults: Faults) -> Word | None:
    """The word of a closed set that an option names; None if it is not given."""
    known = [str(word) for word in words]
    if text is None or text in known:
        return None if text is None else words(text)
    faults.add(name, f"unknown: {text!r}{suggestion(text, known)}")
    return None


def _given(arguments: argparse.Namespace) -> Mapping[str, Option]:
    """The options that stand for keys of hosts.yaml's campaign."""
    texts = {name: getattr(arguments, name) for name in NUMBERS}
    given = {name: option(f"--{name}", text) for name, text in texts.items() if text is not None}
    if arguments.workload is not None:
        given |= _single(arguments.workload, among=arguments.workloads)
    elif arguments.workloads is not None:
        given["workloads"] = read_options("--workloads", arguments.workloads.split(","))
    if arguments.threads is not None:
        given["threads"] = read_numbers("--threads", arguments.threads.split(","))
    if arguments.transports is not None:
        given["transports"] = read_options("--transports", arguments.transports.split(","))
    if arguments.no_instrument is not None:
        given["instrument"] = Option(name="--no-instrument", value=False)
    return given


def _single(given: Sequence[str | Definition], *, among: str | None) -> Mapping[str, Option]:
    """What `--workload` names one by one, besides those of `--workloads`. A resumed campaign has definitions.

    Paths are relative to the working directory, not to hosts.yaml.
    """
    bundled = [_bundled(each) for each in given]
    own = [each for each, name in zip(given, bundled, strict=True) if name is None]
    listed = [*filter(None, (among or "").split(",")), *dict.fromkeys(filter(None, bundled))]
    paths = [each if isinstance(each, Definition) else str(Path(each).absolute()) for each in own]
    return {
        "workload_files": Option(name="--workload", value=paths),
        "workloads": read_options("--workloads" if among else "--workload", listed),
    }


def _bundled(given: str | Definition) -> str | None:
    """The name of a workload of the package, if a name or the path of such a file is given."""
    if isinstance(given, Definition):
        return None
    path = Path(given)
    within = path.stem in files.definitions() and path.resolve() == (WORKLOADS / path.name).resolve()
    return path.stem if within or given == path.stem else None


def heading(subject: str, linux: Base | None) -> str:
    """What the report of a campaign is headed with: the subject, if there is one, and the Linux of guests."""
    with_subject = f"Kernel Mode Linux and {subject}" if subject else "Kernel Mode Linux"
    return with_subject if linux is None else f"{with_subject} (Linux {linux})"


def planned_campaign(trials: tuple[Trial, ...], spec: CampaignSpec, seed: int) -> Planned:
    """These trials, and how long they would take."""
    served = need_server({trial.workload for trial in trials}, spec.own)
    seconds = schedule.estimate_duration(trials, served, scale=spec.scale, costs=COSTS) / len(spec.host_pairs)
    return Planned(trials=trials, seed=seed, estimate_s=seconds)
