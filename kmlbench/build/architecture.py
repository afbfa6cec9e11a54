# SPDX-License-Identifier: MIT
"""Which machines can build: kernels, images and programs are made on x86-64, for x86-64."""

from __future__ import annotations

import platform

from kmlbench.errors import MachineError

ARCHITECTURE = "x86_64"


def require_architecture() -> None:
    """Raises MachineError on a machine of another architecture, before anything is built."""
    if (here := platform.machine()) != ARCHITECTURE:
        raise MachineError(
            f"this machine is {here}, and kernels, images and programs are built on {ARCHITECTURE} alone",
            remedy=f"build and measure on an {ARCHITECTURE} machine; stored campaigns can be read anywhere",
        )
