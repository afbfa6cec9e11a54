# SPDX-License-Identifier: MIT
"""Reads hosts.yaml by the rules of its dataclasses: pydantic finds the faults, this module their lines.

Only this, `faults` and `schema` import pydantic, so that what reads no hosts.yaml starts without it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from kmlbench.config import yamlfile
from kmlbench.config.campaign import NAME, CampaignSpec, Config, Hosts, conflicts
from kmlbench.config.faults import WANTED, adapter, field_at, keys, relations, unknown_word, words
from kmlbench.config.workloadfile import read_workload_file
from kmlbench.config.yamlfile import FIELDS, Broken, ConfigError, Option, suggestion, title
from kmlbench.errors import InputError
from kmlbench.hosts.kinds import KINDS
from kmlbench.hosts.spec import HostSpec
from kmlbench.model import Kernel
from kmlbench.rules import Location
from kmlbench.workloads.definition import Definition
from kmlbench.workloads.levels import MOST_THREADS, Transport
from kmlbench.workloads.registry import ADAPTERS

SECTIONS = ("hosts", "campaign")

Spec = TypeVar("Spec")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with the value in this line of the file, or with an option of the command line (None)."""

    line: int | None
    text: str


def read_hosts_file(path: Path, given: Mapping[str, Option]) -> Config:
    """The file at `path`, with options of the command line for keys of its campaign.

    Raises ConfigError with every fault of the file and of the options, in the order of the file.
    """
    document = yamlfile.parse_yaml(path)
    document.override("campaign", given)
    reader = Reader(document)
    hosts, campaign = reader.file()
    reader.check()
    assert campaign is not None
    return Config(
        path=path, hosts=tuple(host for host in hosts.values() if host), campaign=campaign, document=document
    )


class Reader:
    """Makes dataclasses of a document, and keeps its faults."""

    def __init__(self, document: yamlfile.Document) -> None:
        self._document = document
        self._faults = [
            Fault(line=line, text=f"{document.path}:{line}: {text}") for line, text in document.faults
        ]

    def check(self) -> None:
        """Raise all faults at once as ConfigError, if there are any: those of the file first."""
        if self._faults:
            in_file = [(fault.line, fault.text) for fault in self._faults if fault.line is not None]
            in_file.sort(key=lambda placed: placed[0])
            in_options = [fault.text for fault in self._faults if fault.line is None]
            texts = (*(text for _, text in in_file), *in_options)
            raise ConfigError(*texts, remedy=FIELDS if in_file else "", in_options=bool(in_options))

    def file(self) -> tuple[Hosts, CampaignSpec | None]:
        """Both sections. A host or a campaign with faults is None."""
        data = self._mapping(self._document.data, ())
        if data is None:
            return {}, None
        for key in SECTIONS:
            if key not in data:
                self._missing((key,))
        for key in data:
            if key not in SECTIONS:
                self._unknown((key,), SECTIONS)
        listed = self._mapping(data["hosts"], ("hosts",)) if "hosts" in data else None
        hosts = None if listed is None else {name: self._host(name, value) for name, value in listed.items()}
        section = self._mapping(data["campaign"], ("campaign",)) if "campaign" in data else None
        return hosts or {}, None if section is None else self._campaign(section, hosts)

    def _host(self, name: str, value: object) -> HostSpec | None:
        location, before = ("hosts", name), len(self._faults)
        if not re.fullmatch(NAME, name):
            self._fault(location, f"hosts: {name!r} is not a valid name (letters, digits, '.', '_', '-')")
        data = self._mapping(value, location)
        kind = None if data is None else self._kind(data, location)
        if data is None or kind is None:
            return None
        if "name" in data:
            self._unknown((*location, "name"), keys(kind))
        own = {key: inner for key, inner in data.items() if key != "kind"}
        spec = self._spec(kind, {**own, "name": name}, location)
        return spec if len(self._faults) == before else None

    def _kind(self, data: Mapping[str, object], location: Location) -> type[HostSpec] | None:
        """The kind of a host, which alone says what keys it may have."""
        if "kind" not in data:
            self._missing((*location, "kind"))
            return None
        kind = data["kind"]
        if isinstance(kind, str) and kind in KINDS:
            return KINDS[kind]
        self._value_fault((*location, "kind"), unknown_word(kind, KINDS))
        return None

    def _campaign(self, data: Mapping[str, object], hosts: Hosts | None) -> CampaignSpec | None:
        """The names of hosts are checked only if the file has hosts; that it has none is a fault already."""
        if hosts is not None:
            for kernel in Kernel:
                self._names(data, kernel, hosts, alone=True)
                self._kernels(data, kernel, hosts)
        # `--workload FILE` alone leaves out those of hosts.yaml.
        alone = bool(data.get("workload_files")) and self._document.line(("campaign", "workloads")) is None
        self._names(data, "workloads", ADAPTERS, least=0 if alone else 1)
        files = self._workload_files(data)
        self._threads(data)
        self._names(data, "transports", [str(each) for each in Transport], alone=True)
        spec = self._spec(CampaignSpec, data, ("campaign",))
        if spec is not None:
            spec = replace(spec, workload_files=files)
        if spec is not None and hosts is not None and not self._faults:
            for key, text in conflicts(spec, hosts):
                self._value_fault(("campaign", key), text)
        return spec

    def _workload_files(self, data: Mapping[str, object]) -> tuple[Definition, ...]:
        """The workloads of the files that the campaign names, in order; those with faults are left out.

        A resumed campaign has its own.
        """
        location, value = ("campaign", "workload_files"), data.get("workload_files", [])
        if isinstance(value, Broken):
            return ()
        if not isinstance(value, list):
            self._value_fault(location, "must be a list of paths")
            return ()
        found: dict[str, Definition] = {}
        for index, item in enumerate(value):
            if isinstance(item, Definition):
                found[item.name] = item
            elif not isinstance(item, str) or not item:
                self._fault((*location, index), "campaign: workload_files: every entry must be a path")
            elif item in value[:index]:
                self._fault((*location, index), f"campaign: workload_files: {item!r} is listed twice")
            elif definition := self._workload_file(item, (*location, index), found):
                found[definition.name] = definition
        return tuple(found.values())

    def _workload_file(self, item: str, location: Location, before: Collection[str]) -> Definition | None:
        try:
            return read_workload_file(self._document.path.parent / item, known=(*ADAPTERS, *before))
        except InputError as error:
            line = self._document.line(location)
            self._faults += [Fault(line=line, text=text) for text in error.faults]
            return None

    def _names(
        self,
        data: Mapping[str, object],
        key: str,
        known: Collection[str],
        *,
        alone: bool = False,
        least: int = 1,
    ) -> None:
        """A list of known names, none twice; if `alone`, a single name may replace it."""
        location, value = ("campaign", key), data.get(key)
        if key not in data or isinstance(value, Broken):
            return
        if isinstance(value, list) and len(value) >= least:
            for index, item in enumerate(value):
                if fault := _entry_fault(item, value[:index], known):
                    self._fault((*location, index), f"campaign: {key}: {fault}")
        elif alone and not isinstance(value, list):
            if not isinstance(value, str) or value not in known:
                self._value_fault(location, unknown_word(value, known))
        else:
            self._value_fault(location, "must be a list of at least one name")

    def _threads(self, data: Mapping[str, object]) -> None:
        """A list of at least one number of threads, none twice; a single number may replace it."""
        location, value = ("campaign", "threads"), data.get("threads")
        if "threads" not in data or isinstance(value, Broken):
            return
        if not isinstance(value, list):
            if fault := _number_fault(value, []):
                self._value_fault(location, fault)
            return
        if not value:
            self._value_fault(location, "must be a number, or a list of at least one")
        for index, item in enumerate(value):
            if fault := _number_fault(item, value[:index]):
                self._fault((*location, index), f"campaign: threads: {fault}")

    def _kernels(self, data: Mapping[str, object], kernel: Kernel, hosts: Hosts) -> None:
        """The hosts of an arm must have its kernel."""
        value = data.get(kernel)
        names = value if isinstance(value, list) else [value]
        for name, host in hosts.items():
            if name in names and host and host.kernel is not kernel:
                self._value_fault(
                    ("campaign", kernel), f"host {name!r} has the {host.kernel} kernel, not {kernel}"
                )

    def _spec(self, spec: type[Spec], data: Mapping[str, object], location: Location) -> Spec | None:
        """The dataclass, or None after its faults have been reported."""
        instance, faulty = None, []
        try:
            instance = adapter(spec).validate_python(data, context=self._document.path.parent)
        except ValidationError as error:
            for item in error.errors(include_url=False):
                faulty.append(item["loc"])
                self._report(spec, item, location)
        for inner, text in relations(spec, data, faulty):
            self._value_fault((*location, *inner), text)
        return instance

    def _report(self, spec: type, error: ErrorDetails, location: Location) -> None:
        inner, value = error["loc"], error["input"]
        owner, key = field_at(spec, inner)
        match error["type"]:
            case _ if isinstance(value, Broken):
                return
            case "missing":
                self._missing((*location, *inner))
            case "unexpected_keyword_argument":
                self._unknown((*location, *inner), keys(owner))
            case "dataclass_type":
                self._no_mapping((*location, *inner))
            case _:
                self._value_fault((*location, *inner), words(owner, key, error))

    def _mapping(self, value: object, location: Location) -> Mapping[str, object] | None:
        if isinstance(value, dict):
            return value
        if not isinstance(value, Broken):
            self._no_mapping(location)
        return None

    def _no_mapping(self, location: Location) -> None:
        self._fault(location, f"{title(location)} must be a mapping of names to values")

    def _missing(self, location: Location) -> None:
        self._fault(location[:-1], f"{title(location[:-1])}: the key {location[-1]!r} is missing")

    def _unknown(self, location: Location, known: Collection[str]) -> None:
        self._value_fault(location, f"unknown key{suggestion(str(location[-1]), known)}")

    def _value_fault(self, location: Location, text: str) -> None:
        """Report a fault of the value of a key."""
        self._fault(location, f"{title(location[:-1])}: {location[-1]}: {text}")

    def _fault(self, location: Location, text: str) -> None:
        fault = Fault(line=self._document.line(location), text=f"{self._document.where(location)}: {text}")
        self._faults.append(fault)


def _number_fault(item: object, before: list[object]) -> str:
    """What is wrong with a number of threads; empty if nothing is."""
    if isinstance(item, bool) or not isinstance(item, int):
        return WANTED["int_type"]
    if not 1 <= item <= MOST_THREADS:
        return f"{item} is not between 1 and {MOST_THREADS}"
    return f"{item} is listed twice" if item in before else ""


def _entry_fault(item: object, before: list[object], known: Collection[str]) -> str:
    """What is wrong with an entry of a list of names; empty if nothing is."""
    if not isinstance(item, str) or not item:
        return "every entry must be a name"
    if item in before:
        return f"{item!r} is listed twice"
    return "" if item in known else unknown_word(item, known)
