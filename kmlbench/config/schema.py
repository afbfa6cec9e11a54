# SPDX-License-Identifier: MIT
"""The JSON schema of hosts.yaml, made of the rules that the parser reads by, for editors."""

from __future__ import annotations

import json
from collections.abc import Mapping

from kmlbench.config.campaign import CAMPAIGN_RULES
from kmlbench.config.hosts import KIND, KNOWN_BY, RULES, Kind
from kmlbench.config.rules import Schema, mapping
from kmlbench.config.yamlfile import NAME

DIALECT = "https://json-schema.org/draft/2020-12/schema"

FILE = "hosts.schema.json"

# What the parser asks beyond single fields and a schema can say.
_CONDITIONS: Mapping[Kind, Schema] = {Kind.QEMU: {}, Kind.SSH: KNOWN_BY}


def schema() -> Schema:
    """The whole schema. It knows no relations between hosts; the parser does."""
    return {
        "$schema": DIALECT,
        "title": "hosts.yaml of kmlbench",
        "type": "object",
        "properties": {
            "hosts": {
                "description": "the machines, by name",
                "type": "object",
                "propertyNames": {"pattern": f"^(?:{NAME.pattern})$"},
                "additionalProperties": {"oneOf": [_host(kind) for kind in Kind]},
            },
            "campaign": {
                "description": "what run-benchmark does when it is given no options",
                **mapping(CAMPAIGN_RULES),
            },
        },
        "required": ["hosts", "campaign"],
        "additionalProperties": False,
    }


def text() -> str:
    """The schema as the text of its file."""
    return json.dumps(schema(), indent=2) + "\n"


def _host(kind: Kind) -> Schema:
    found = mapping(RULES[kind], also=_CONDITIONS[kind])
    properties = found["properties"]
    assert isinstance(properties, dict)
    named = {"description": KIND.about, "const": str(kind)}
    return {**found, "properties": {**properties, KIND.key: named}}
