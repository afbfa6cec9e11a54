# SPDX-License-Identifier: MIT
"""`kmlbench completion`: what a shell needs to complete both commands, made from their parsers."""

from __future__ import annotations

import argparse

import shtab

from kmlbench.build.bases import Base
from kmlbench.cli import programs
from kmlbench.cli.parser import actions
from kmlbench.model import Clock, Server
from kmlbench.plan.comparisons import CELLS
from kmlbench.progress import Progress
from kmlbench.workloads.registry import ADAPTERS, METRICS

# Names with other characters are left out: compgen would expand them.
SAFE = "+([A-Za-z0-9._-])"

BASH = r"""
_kmlbench_option() {
  local i
  for ((i = 1; i < COMP_CWORD; i++)); do
    [[ ${COMP_WORDS[i]} == "$1" && -n ${COMP_WORDS[i + 1]} ]] && set -- "$1" "${COMP_WORDS[i + 1]}"
  done
  printf '%%s' "$2"
}
_kmlbench_campaigns() (
  shopt -s extglob
  for path in "$(_kmlbench_option --results results)"/*/campaign.json; do
    name=${path%%/campaign.json} name=${name##*/}
    [[ -e $path && $name == %(safe)s ]] && compgen -W "$name" -- "$1"
  done
)
_kmlbench_hosts() {
  compgen -W "$(sed -n '/^hosts:/,/^[^ #]/s/^  \([A-Za-z0-9._-]*\):.*/\1/p' \
    "$(_kmlbench_option --hosts hosts.yaml)" 2>/dev/null)" -- "$1"
}
_kmlbench_workloads() {
  local head=
  [[ $1 == *,* ]] && head=${1%%,*},
  compgen -P "$head" -W "%(workloads)s" -- "${1##*,}"
}
_kmlbench_workload() { compgen -W "%(workloads)s" -- "$1"; compgen -f -- "$1"; }
_kmlbench_cells() {
  # Where bash splits words at ":", it replaces only what stands behind it.
  local before=
  case $1${COMP_WORDS[COMP_CWORD - 1]} in
    *:) before=${COMP_WORDS[COMP_CWORD - 2]}: ;;
    :*) before=${COMP_WORDS[COMP_CWORD - 1]}: ;;
  esac
  compgen -W "%(cells)s" -- "$before${1#:}" | while read -r cell; do echo "${cell#"$before"}"; done
}
_kmlbench_metrics() { compgen -W "%(metrics)s" -- "$1"; }
_kmlbench_servers() { compgen -W "%(servers)s" -- "$1"; }
_kmlbench_clocks() { compgen -W "%(clocks)s" -- "$1"; }
_kmlbench_bases() { compgen -W "%(bases)s" -- "$1"; }
"""

ZSH = r"""
_kmlbench_campaigns() {
  local -a names=(${(v)opt_args[--results]:-results}/*/campaign.json(N:h:t))
  compadd -a names
}
_kmlbench_hosts() {
  local -a names=(${(f)"$(sed -n '/^hosts:/,/^[^ #]/s/^  \([A-Za-z0-9._-]*\):.*/\1/p' \
    ${(v)opt_args[--hosts]:-hosts.yaml} 2>/dev/null)"})
  compadd -a names
}
_kmlbench_workloads() { _sequence compadd - %(workloads)s }
_kmlbench_workload() { compadd - %(workloads)s; _files }
_kmlbench_cells() { compadd -- %(cells)s }
_kmlbench_metrics() { compadd -- %(metrics)s }
_kmlbench_servers() { compadd -- %(servers)s }
_kmlbench_clocks() { compadd -- %(clocks)s }
_kmlbench_bases() { compadd -- %(bases)s }
"""

# By the name of the argument, or by its metavar.
COMPLETED = {
    "FILE": shtab.FILE,
    "CONFIG": shtab.FILE,
    "SRC": shtab.FILE,
    "DIR": shtab.DIRECTORY,
    "CONTROL": shtab.DIRECTORY,
    "A": shtab.DIRECTORY,
    "B": shtab.DIRECTORY,
    "hosts": shtab.FILE,
    **{
        name: {"bash": f"_kmlbench_{kind}", "zsh": f"_kmlbench_{kind}"}
        for name, kind in (
            ("ID", "campaigns"),
            ("A,B", "workloads"),
            ("WORKLOAD", "workload"),
            ("CELL", "cells"),
            ("metric", "metrics"),
            ("name", "hosts"),
            ("server", "servers"),
            ("clock", "clocks"),
            ("kernel", "bases"),
        )
    },
}

PREAMBLES = {"bash": BASH, "zsh": ZSH}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the argument."""
    parser.add_argument("shell", choices=tuple(PREAMBLES), help='for: eval "$(kmlbench completion bash)"')
    parser.epilog = 'example: eval "$(kmlbench completion bash)"'
    parser.set_defaults(run=_completion)


def _completion(arguments: argparse.Namespace, progress: Progress) -> int:
    del progress
    parsers = (programs.benchmark_parser(), programs.kmlbench_parser())
    print("\n".join(completion(parser, arguments.shell) for parser in parsers))
    return 0


def completion(parser: argparse.ArgumentParser, shell: str) -> str:
    """The completion script of a command; each has its own copy of the shared functions."""
    for action in actions(parser):
        for name in (action.metavar, action.dest):
            if isinstance(name, str) and name in COMPLETED and not action.choices:
                action.complete = COMPLETED[name]  # type: ignore[attr-defined]  # shtab's own way
                break
    words = {
        "safe": SAFE,
        "workloads": " ".join(ADAPTERS),
        "cells": " ".join(map(str, CELLS)),
        "metrics": " ".join(METRICS),
        "servers": " ".join(Server),
        "clocks": " ".join(Clock),
        "bases": " ".join(Base),
    }
    return shtab.complete(parser, shell, preamble=PREAMBLES[shell] % words)
