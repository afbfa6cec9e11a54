# SPDX-License-Identifier: MIT
"""Connections to the machines of hosts.yaml."""

from __future__ import annotations

from contextlib import AbstractContextManager

from kmlbench.config.hosts import Address, SshHostSpec
from kmlbench.hosts.login import Login
from kmlbench.hosts.ssh import reach
from kmlbench.model import Host

SSH_DEADLINE_S = 60.0


def connection(spec: SshHostSpec, deadline_s: float = SSH_DEADLINE_S) -> AbstractContextManager[Host]:
    """A connection to an SSH host, as root. Raises HostError."""
    return reach(login(spec), deadline_s=deadline_s, name=spec.name, sudo=spec.sudo)


def login(address: Address) -> Login:
    """How to log in at an address, or at that of an SSH host."""
    jump = address.jump if isinstance(address, SshHostSpec) else None
    return Login(
        address=address.address,
        port=address.port,
        user=address.user,
        key=address.key,
        host_key=address.host_key,
        known_hosts=address.known_hosts,
        jump=None if jump is None else login(jump),
    )
