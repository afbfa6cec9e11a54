# SPDX-License-Identifier: MIT
"""`kmlbench host`: what hosts.yaml may say, and what a host of the user's has, lacks, and got from us."""

from __future__ import annotations

import argparse
from typing import Any

from kmlbench import schema
from kmlbench.progress import Progress


def register(subparsers: Any) -> None:
    """Add the verb `host` to the parser of `kmlbench`."""
    verbs = subparsers.add_parser("host", help="prepare, check and clean machines of yours").add_subparsers(
        dest="verb", required=True
    )
    printed = verbs.add_parser("schema", help="print the JSON schema of hosts.yaml, for editors")
    printed.set_defaults(run=_schema)


def _schema(arguments: argparse.Namespace, progress: Progress) -> int:
    del arguments, progress
    print(schema.text(), end="")
    return 0
