# SPDX-License-Identifier: MIT
"""A host whose file system is a directory of the test: real commands, with paths of a host moved there."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from kmlbench.errors import HostError
from kmlbench.model import ByteStream, CommandResult

OURS = re.compile(rb"(?<![\w./-])(/trusted|/usr/|/var/lib/kmlbench|/run)(?=[\s/\"'.]|\Z|(?<=/))")


class RootedHost:
    """Implements kmlbench.model.Host. Files are root's, whoever runs the test; there is a user mysql."""

    def __init__(self, root: Path) -> None:
        self.name = "rooted"
        self.root = root
        self.asked: list[tuple[str, ...]] = []
        self._me = pwd.getpwuid(os.getuid()).pw_name.encode()

    def run(self, argv: Sequence[str], *, timeout_s: float, stdin: bytes = b"") -> CommandResult:
        self.asked.append(tuple(argv))
        words = [
            word.replace("id -u mysql", "id -u")
            for word in argv
            if word not in {"--owner=mysql", "--group=mysql"}
        ]
        is_archive = words[0] == "tar"
        done = subprocess.run(
            [self._there(word.encode()) for word in words],
            input=stdin if is_archive else self._there(stdin),
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
        return CommandResult(
            argv=tuple(argv),
            returncode=done.returncode,
            stdout=self._back(done.stdout),
            stderr=self._back(done.stderr),
            elapsed_s=0.0,
        )

    def put(self, source: Path, destination: str) -> None:
        (self.root / destination.lstrip("/")).write_bytes(source.read_bytes())

    def get(self, source: str, destination: Path) -> None:
        destination.write_bytes((self.root / source.lstrip("/")).read_bytes())

    def dial(self, port: int) -> ByteStream:
        raise HostError(f"nothing listens on {port}")

    def _there(self, text: bytes) -> bytes:
        return OURS.sub(lambda match: bytes(self.root) + match[1], text)

    def _back(self, text: bytes) -> str:
        result = text.replace(bytes(self.root), b"").replace(b"|" + self._me + b"|", b"|root|")
        return result.decode(errors="replace")
