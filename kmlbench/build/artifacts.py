# SPDX-License-Identifier: MIT
"""The results of builds: kernels and guest images, as data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kmlbench.model import Kernel, Server


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelArtifact:
    """A built kernel in the cache.

    `image` is the bzImage, `config` the full configuration it was built with, `key` the content key
    (source version, patches, configuration, compiler), `release` what `uname -r` says in the guest.
    """

    kernel: Kernel
    release: str
    image: Path
    config: Path
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageArtifact:
    """A built guest image in the cache.

    `root` is a raw ext4 file system that every guest boots from a throw-away overlay, `packages` the
    manifest of the Debian packages (one "name version" a line), `host_key` the guest's public SSH host
    key ("ssh-ed25519 AAAA..."), `client_key` the private key (mode 0600) that may log in as root.
    """

    server: Server
    root: Path
    packages: Path
    host_key: str
    client_key: Path
    key: str
