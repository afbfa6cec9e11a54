# SPDX-License-Identifier: MIT
"""The JSON schema of hosts.yaml says what the parser says, field by field."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML
from support.paths import REPOSITORY

from kmlbench.cli.main import main
from kmlbench.config import campaign, schema
from kmlbench.config.campaign import CampaignSpec
from kmlbench.errors import InputError
from kmlbench.hosts.kinds import KINDS

VALIDATOR = Draft202012Validator(schema.hosts_schema())
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5"
DOOR = {"address": "192.0.2.7", "port": 22, "user": "root", "key": "keys/far", "host_key": KEY}
GUEST = {
    "kind": "qemu",
    "memory_mb": 2048,
    "cpus": 1,
    "cpu_model": "max",
    "linux": "7.2",
    "clock": "instructions",
}
MACHINE = {
    **{"kind": "ssh", "kernel": "kml", **DOOR, "jump": {**DOOR, "port": 2222}},
    **{"sudo": True, "reboot": True, "boot_deadline_s": 60},
}
GOOD: dict[str, dict[str, object]] = {
    "hosts": {
        "plain": {**GUEST, "kernel": "stock"},
        "near": {**GUEST, "kernel": "kml"},
        "far": MACHINE,
    },
    "campaign": {
        **{
            "stock": "plain",
            "kml": ["near"],
            "server": "mysql",
            "workloads": ["getpid"],
            "blocks": 3,
            "pairs": 1,
        },
        **{"scale": 0.5, "seed": 1, "loops": 2, "rate": 1.5, "threads": [1, 4], "workload_files": []},
        "transports": ["socket", "tls"],
    },
}
# Texts that cross no relation between fields, which a schema does not know.
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 70_000),
    st.sampled_from([0.5, 1e10, "", "max", "-x", "a b", "a\nb", "root", [], ["near"], ["near", "near"], {}]),
    st.sampled_from(["qemu", "ssh", "time", KEY, "ssh-dss AAAA", "../x", {"a": 1}, ["getpid", "getpid"]]),
)


def places(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*path, key)
            yield from places(inner, (*path, key))


PLACES = tuple(places(GOOD))


def reads(document: Mapping[str, object]) -> tuple[str, ...]:
    """The faults that the parser finds."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "hosts.yaml"
        YAML(typ="safe", pure=True).dump(document, path)
        try:
            campaign.load_config(path)
        except InputError as error:
            return error.faults
    return ()


RELATIONS = (
    *(
        "a clock that counts instructions",
        "is not root",
        "no host is called",
        "do not form pairs",
        "differ in",
    ),
    *("they cannot be compared", "has the stock kernel", "has the kml kernel", "need at least"),
    # A workload file that is named, and is not there.
    "cannot be read",
)


def beyond_a_schema(fault: str) -> bool:
    names = any(f"campaign: {key}: unknown: " in fault for key in ("stock", "kml"))
    return names or any(relation in fault for relation in RELATIONS)


def same_verdict(document: Mapping[str, object]) -> None:
    faults = [fault for fault in reads(document) if not beyond_a_schema(fault)]
    assert (faults == []) == VALIDATOR.is_valid(document), (document, faults)


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(schema.hosts_schema())
    assert VALIDATOR.is_valid(GOOD)
    assert reads(GOOD) == ()


def test_the_file_in_the_repository_is_what_the_parser_is_made_of() -> None:
    assert (REPOSITORY / schema.FILE).read_text() == schema.schema_json(), (
        "kmlbench host schema > hosts.schema.json"
    )
    hosts = (REPOSITORY / "hosts.yaml").read_text()
    assert hosts.startswith(f"# yaml-language-server: $schema={schema.FILE}\n")
    assert VALIDATOR.is_valid(YAML(typ="safe", pure=True).load(hosts))


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["host", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == schema.hosts_schema()


@pytest.mark.parametrize("place", PLACES, ids=".".join)
def test_without_a_field_or_with_one_more_both_say_the_same(place: tuple[str, ...]) -> None:
    for change in ("remove", "rename"):
        document = deepcopy(GOOD)
        *parents, last = place
        # mypy: GOOD is nested, of mappings only along these places.
        inside: dict[str, object] = document  # type: ignore[assignment]
        for parent in parents:
            inside = inside[parent]  # type: ignore[assignment]
        value = inside.pop(last)
        if change == "rename":
            inside[f"{last}x"] = value
        same_verdict(document)


def test_a_path_of_a_workload_file_that_appears_twice_is_a_fault_wherever_it_leads() -> None:
    document = deepcopy(GOOD)
    document["campaign"] |= {"workload_files": ["near", "near"]}
    assert [fault for fault in reads(document) if not beyond_a_schema(fault)] != []
    same_verdict(document)


@pytest.mark.slow
@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(st.sampled_from(PLACES), ODD), min_size=1, max_size=2))
def test_any_changed_file_gets_the_same_verdict(changes: list[tuple[tuple[str, ...], object]]) -> None:
    document = deepcopy(GOOD)
    for (*parents, last), value in changes:
        inside: object = document
        for parent in parents:
            inside = inside.get(parent) if isinstance(inside, dict) else None
        if isinstance(inside, dict):
            inside[last] = value
    same_verdict(document)


RANGES = [
    (field.name, field.metadata["ge"], field.metadata["le"])
    for spec in (*KINDS.values(), CampaignSpec)
    for field in fields(spec)
    if "ge" in field.metadata
]


@pytest.mark.parametrize(("key", "minimum", "maximum"), RANGES, ids=str)
def test_a_range_ends_where_it_says(key: str, minimum: float, maximum: float) -> None:
    for number, good in ((minimum, True), (maximum, True), (minimum - 1, False), (maximum + 1, False)):
        document = deepcopy(GOOD)
        for section in (*document["hosts"].values(), document["campaign"]):
            assert isinstance(section, dict)
            if key in section:
                section.pop("clock", None)
                section[key] = number
        assert VALIDATOR.is_valid(document) is good
        same_verdict(document)


def test_the_documentation_has_every_key_of_each_kind() -> None:
    text = (REPOSITORY / "docs/hosts.md").read_text()
    sections = {title: text.split(f"\n## {title}\n")[1] for title in ("hosts", "campaign")}
    properties = schema.hosts_schema()["properties"]
    for host in properties["hosts"]["additionalProperties"]["oneOf"]:
        kind = host["properties"]["kind"]["const"]
        section = sections["hosts"].split(f"### kind: {kind}")[1].split("\n##")[0]
        assert listed(section) == set(host["properties"])
    assert listed(sections["campaign"]) == set(properties["campaign"]["properties"])


def listed(section: str) -> set[str]:
    """The keys that a section's table has a line for."""
    return {line.split("`")[1] for line in section.splitlines() if line.startswith("| `")}
