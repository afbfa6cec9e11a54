# SPDX-License-Identifier: MIT
"""hosts.yaml read by the rules of its dataclasses: pydantic finds the faults, and their lines are found here.

Nothing but this, `faults` and `schema` imports pydantic, so that what reads no hosts.yaml starts without it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from pydantic_core import ErrorDetails

from kmlbench.config import yamlfile
from kmlbench.config.campaign import NAME, CampaignSpec, Config, Hosts, conflicts
from kmlbench.config.faults import field_at, keys, parts, relations, unknown_word, words
from kmlbench.config.yamlfile import FIELDS, Broken, Option, Place, suggestion, title
from kmlbench.errors import InputError
from kmlbench.hosts.kinds import KINDS
from kmlbench.hosts.spec import HostSpec
from kmlbench.model import Kernel
from kmlbench.workloads.registry import ADAPTERS

SECTIONS = ("hosts", "campaign")

Spec = TypeVar("Spec")


def read_hosts_file(path: Path, given: Mapping[str, Option]) -> Config:
    """The file at `path`, with options of the command line for keys of its campaign.

    Raises InputError with every fault of the file and of the options, in the order of the file.
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
        self._faults = [(line, f"{document.path}:{line}: {text}") for line, text in document.faults]

    def check(self) -> None:
        """Raise all faults at once as InputError, if there are any: those of the file first."""
        if self._faults:
            texts = [text for _, text in sorted(self._faults, key=lambda fault: fault[0])]
            ours = all(text.startswith("--") for text in texts)
            raise InputError(*texts, remedy="" if ours else FIELDS)

    def file(self) -> tuple[Hosts, CampaignSpec | None]:
        """Both sections; what has faults is None."""
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
        place, before = ("hosts", name), len(self._faults)
        if not re.fullmatch(NAME, name):
            self._fault(place, f"hosts: {name!r} is not a name (letters, digits, '.', '_', '-')")
        data = self._mapping(value, place)
        kind = None if data is None else self._kind(data, place)
        if data is None or kind is None:
            return None
        if "name" in data:
            self._unknown((*place, "name"), keys(kind))
        own = {key: inner for key, inner in data.items() if key != "kind"}
        spec = self._spec(kind, {**own, "name": name}, place)
        return spec if len(self._faults) == before else None

    def _kind(self, data: Mapping[str, object], place: Place) -> type[HostSpec] | None:
        """Which keys it may have, the kind alone says."""
        if "kind" not in data:
            self._missing((*place, "kind"))
            return None
        kind = data["kind"]
        if isinstance(kind, str) and kind in KINDS:
            return KINDS[kind]
        self._at((*place, "kind"), unknown_word(kind, KINDS))
        return None

    def _campaign(self, data: Mapping[str, object], hosts: Hosts | None) -> CampaignSpec | None:
        """Without hosts, which is a fault, nothing is said of their names."""
        if hosts is not None:
            for kernel in Kernel:
                self._names(data, kernel, hosts, alone=True)
                self._kernels(data, kernel, hosts)
        self._names(data, "workloads", ADAPTERS)
        spec = self._spec(CampaignSpec, data, ("campaign",))
        if spec is not None and hosts is not None and not self._faults:
            for key, text in conflicts(spec, hosts):
                self._at(("campaign", key), text)
        return spec

    def _names(
        self, data: Mapping[str, object], key: str, known: Collection[str], *, alone: bool = False
    ) -> None:
        """A list of known names, none twice and at least one; or, `alone`, one name."""
        place, value = ("campaign", key), data.get(key)
        if key not in data or isinstance(value, Broken):
            return
        if isinstance(value, list) and value:
            for index, item in enumerate(value):
                if fault := _entry_fault(item, value[:index], known):
                    self._fault((*place, index), f"campaign: {key}: {fault}")
        elif alone and not isinstance(value, list):
            if not isinstance(value, str) or value not in known:
                self._at(place, unknown_word(value, known))
        else:
            self._at(place, "must be a list of at least one name")

    def _kernels(self, data: Mapping[str, object], kernel: Kernel, hosts: Hosts) -> None:
        """The hosts of an arm have its kernel."""
        value = data.get(kernel)
        names = value if isinstance(value, list) else [value]
        for name, host in hosts.items():
            if name in names and host and host.kernel is not kernel:
                self._at(("campaign", kernel), f"host {name!r} has the {host.kernel} kernel, not {kernel}")

    def _spec(self, spec: type[Spec], data: Mapping[str, object], place: Place) -> Spec | None:
        """The dataclass, or None and its faults."""
        found, bad = None, []
        try:
            found = adapter(spec).validate_python(data, context=self._document.path.parent)
        except ValidationError as error:
            for item in error.errors(include_url=False):
                bad.append(item["loc"])
                self._tell(spec, item, place)
        for inner, text in relations(spec, data, bad):
            self._at((*place, *inner), text)
        return found

    def _tell(self, spec: type, error: ErrorDetails, place: Place) -> None:
        inner, value = error["loc"], error["input"]
        owner, key = field_at(spec, inner)
        match error["type"]:
            case _ if isinstance(value, Broken):
                return
            case "missing":
                self._missing((*place, *inner))
            case "unexpected_keyword_argument":
                self._unknown((*place, *inner), keys(owner))
            case "dataclass_type":
                self._no_mapping((*place, *inner))
            case _:
                self._at((*place, *inner), words(owner, key, error))

    def _mapping(self, value: object, place: Place) -> Mapping[str, object] | None:
        if isinstance(value, dict):
            return value
        if not isinstance(value, Broken):
            self._no_mapping(place)
        return None

    def _no_mapping(self, place: Place) -> None:
        self._fault(place, f"{title(place)} must be a mapping of names to values")

    def _missing(self, place: Place) -> None:
        self._fault(place[:-1], f"{title(place[:-1])}: the key {place[-1]!r} is missing")

    def _unknown(self, place: Place, known: Collection[str]) -> None:
        self._at(place, f"unknown key{suggestion(str(place[-1]), known)}")

    def _at(self, place: Place, text: str) -> None:
        """A fault of the value of a key."""
        self._fault(place, f"{title(place[:-1])}: {place[-1]}: {text}")

    def _fault(self, place: Place, text: str) -> None:
        line = self._document.line(place)
        self._faults.append((sys.maxsize if line is None else line, f"{self._document.where(place)}: {text}"))


def adapter(spec: type[Spec]) -> TypeAdapter[Spec]:
    """pydantic's validator of a dataclass; keys that no field has are faults."""
    for part in (spec, *parts(spec).values()):
        with_config(ConfigDict(extra="forbid"))(part)
    return TypeAdapter(spec)


def _entry_fault(item: object, before: list[object], known: Collection[str]) -> str:
    """What is wrong with an entry of a list of names; empty if nothing is."""
    if not isinstance(item, str) or not item:
        return "every entry must be a name"
    if item in before:
        return f"{item!r} is there twice"
    return "" if item in known else unknown_word(item, known)
