# SPDX-License-Identifier: MIT
"""The kinds of hosts, by what hosts.yaml calls them. A new one is a line here."""

from __future__ import annotations

from kmlbench.hosts.kind_qemu import QemuHostSpec
from kmlbench.hosts.kind_ssh import SshHostSpec
from kmlbench.hosts.spec import HostSpec

KINDS: dict[str, type[HostSpec]] = {
    QemuHostSpec.kind: QemuHostSpec,
    SshHostSpec.kind: SshHostSpec,
}
