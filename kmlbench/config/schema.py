# SPDX-License-Identifier: MIT
"""The JSON schema of hosts.yaml, for editors, generated from the dataclasses that the file is read into."""

from __future__ import annotations

import json

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from kmlbench.config.campaign import NAME, CampaignSpec
from kmlbench.config.faults import adapter
from kmlbench.hosts.kinds import KINDS
from kmlbench.hosts.spec import HostSpec
from kmlbench.workloads.definition import Definition

DIALECT = "https://json-schema.org/draft/2020-12/schema"

FILE = "hosts.schema.json"

WORKLOAD_FILE = "workload.schema.json"


class Plain(GenerateJsonSchema):
    """A schema without titles and nulls: a key without a value is left out of the file."""

    def field_title_should_be_set(self, schema: object) -> bool:
        """No: an editor shows the key."""
        del schema
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """The schema of the value itself."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """The schema of the value, with its default if that could be written in the file."""
        if schema.get("default") not in (None, ""):
            return super().default_schema(schema)
        return self.generate_inner(schema["schema"])

    def enum_schema(self, schema: core_schema.EnumSchema) -> JsonSchemaValue:
        """The words alone, without a type."""
        return {"enum": super().enum_schema(schema)["enum"]}

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> JsonSchemaValue:
        """With the keys of which exactly one is required."""
        made = super().dataclass_schema(schema)
        made.pop("title", None)
        made.pop("description", None)
        either = getattr(schema["cls"], "either", ())
        return {**made, "oneOf": [{"required": [name]} for name in either]} if either else made


def hosts_schema() -> JsonSchemaValue:
    """The whole schema. Only the parser knows the relations between hosts."""
    specs = (*KINDS.values(), CampaignSpec)
    schemas = {spec: adapter(spec).json_schema(schema_generator=Plain) for spec in specs}
    definitions = {
        name: part for schema in schemas.values() for name, part in schema.pop("$defs", {}).items()
    }
    return {
        "$schema": DIALECT,
        "title": "hosts.yaml of kmlbench",
        "type": "object",
        "properties": {
            "hosts": {
                "description": "the machines, by name",
                "type": "object",
                "propertyNames": {"pattern": f"^(?:{NAME})$"},
                "additionalProperties": {"oneOf": [_host(spec, schemas[spec]) for spec in KINDS.values()]},
            },
            "campaign": {
                "description": "what run-benchmark does without options",
                **schemas[CampaignSpec],
            },
        },
        "required": ["hosts", "campaign"],
        "additionalProperties": False,
        "$defs": definitions,
    }


def schema_json() -> str:
    """The schema as the text of its file."""
    return json.dumps(hosts_schema(), indent=2) + "\n"


def workload_schema_json() -> str:
    """The schema of a workload file, as text. Only the parser knows the relations between keys."""
    schema = adapter(Definition).json_schema(schema_generator=Plain)
    keys = {name: part for name, part in schema.pop("properties").items() if name != "name"}
    required = [name for name in schema.pop("required") if name != "name"]
    head = {"$schema": DIALECT, "title": "a workload file of kmlbench"}
    whole = {**head, **schema, "properties": keys, "required": required}
    return json.dumps(whole, indent=2) + "\n"


def _host(spec: type[HostSpec], schema: JsonSchemaValue) -> JsonSchemaValue:
    """With the kind of the host instead of its name, which is its key in the file."""
    keys = {name: part for name, part in schema["properties"].items() if name != "name"}
    about = "; ".join(f"{name}: {kind.about}" for name, kind in KINDS.items())
    return {
        **schema,
        "properties": {"kind": {"description": about, "const": spec.kind}, **keys},
        "required": ["kind", *(name for name in schema["required"] if name != "name")],
    }
