# SPDX-License-Identifier: MIT
"""The JSON schema of hosts.yaml, made of the dataclasses that the file is read into, for editors."""

from __future__ import annotations

import json

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from kmlbench.config.campaign import NAME, CampaignSpec
from kmlbench.config.reading import adapter
from kmlbench.hosts.kinds import KINDS
from kmlbench.hosts.spec import HostSpec

DIALECT = "https://json-schema.org/draft/2020-12/schema"

FILE = "hosts.schema.json"


class Plain(GenerateJsonSchema):
    """Without titles and nulls: a key that has no value is left out."""

    def field_title_should_be_set(self, schema: object) -> bool:
        """Never: an editor shows the key."""
        del schema
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """That of the value."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """That of the value, with a default that one could write."""
        if schema.get("default") not in (None, ""):
            return super().default_schema(schema)
        return self.generate_inner(schema["schema"])

    def enum_schema(self, schema: core_schema.EnumSchema) -> JsonSchemaValue:
        """Its words alone."""
        return {"enum": super().enum_schema(schema)["enum"]}

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> JsonSchemaValue:
        """With the keys of which one must be there."""
        made = super().dataclass_schema(schema)
        made.pop("title", None)
        made.pop("description", None)
        either = getattr(schema["cls"], "either", ())
        return {**made, "oneOf": [{"required": [name]} for name in either]} if either else made


def hosts_schema() -> JsonSchemaValue:
    """The whole schema. It knows no relations between hosts; the parser does."""
    specs = (*KINDS.values(), CampaignSpec)
    made = {spec: adapter(spec).json_schema(schema_generator=Plain) for spec in specs}
    definitions = {name: part for one in made.values() for name, part in one.pop("$defs", {}).items()}
    return {
        "$schema": DIALECT,
        "title": "hosts.yaml of kmlbench",
        "type": "object",
        "properties": {
            "hosts": {
                "description": "the machines, by name",
                "type": "object",
                "propertyNames": {"pattern": f"^(?:{NAME})$"},
                "additionalProperties": {"oneOf": [_host(spec, made[spec]) for spec in KINDS.values()]},
            },
            "campaign": {
                "description": "what run-benchmark does when it is given no options",
                **made[CampaignSpec],
            },
        },
        "required": ["hosts", "campaign"],
        "additionalProperties": False,
        "$defs": definitions,
    }


def schema_json() -> str:
    """The schema as the text of its file."""
    return json.dumps(hosts_schema(), indent=2) + "\n"


def _host(spec: type[HostSpec], made: JsonSchemaValue) -> JsonSchemaValue:
    """With its kind in place of its name, which is the key before it."""
    keys = {name: part for name, part in made["properties"].items() if name != "name"}
    about = "; ".join(f"{kind}: {each.about}" for kind, each in KINDS.items())
    return {
        **made,
        "properties": {"kind": {"description": about, "const": spec.kind}, **keys},
        "required": ["kind", *(name for name in made["required"] if name != "name")],
    }
