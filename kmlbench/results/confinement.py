# SPDX-License-Identifier: MIT
"""Whether a security module confines a server below /usr: its copy below /trusted would run without."""

from __future__ import annotations

import re

from kmlbench.model import Server

FREE = "none"

PROFILES = {Server.MYSQL: "mysqld", Server.MARIADB: "mariadbd"}


def confinement(text: str, server: Server) -> str:
    """What confines `server`, or FREE; `text` is the list of AppArmor profiles and the mode of SELinux."""
    program = PROFILES[server]
    profiles = re.findall(rf"(?:^|\s)((?:/usr/sbin/)?{program} \((?:enforce|complain|kill)\))", text)
    confining = [f"AppArmor: {profile}" for profile in profiles]
    if re.search(r"^1$", text, re.MULTILINE):
        confining.append("SELinux: enforcing")
    return "; ".join(confining) or FREE
