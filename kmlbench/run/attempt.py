# SPDX-License-Identifier: MIT
"""The programs of a command line on the hosts of a campaign, and what names their functions in its record."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from kmlbench.executables.bundle import ROOT, Bundle, write_archive
from kmlbench.instrument.recording import FormatError
from kmlbench.instrument.symbols import elf_symbols, functions_text
from kmlbench.model import Prefix
from kmlbench.provision.outfit import Outfit
from kmlbench.results import writer
from kmlbench.results.recording import function_file


def outfit(bundles: Sequence[Bundle], directory: Path) -> Outfit:
    """What the hosts need; its archive in `directory`. Raises InputError for files that cannot be read."""
    ours = [each for each in bundles if each.files]
    archive = directory / "programs.tar" if ours else None
    if archive is not None:
        write_archive(ours, archive)
    copied = {path: copy for each in bundles for path, copy in each.copied.items()}
    return Outfit(root=ROOT, archive=archive, copied=copied)


def keep_functions(bundles: Sequence[Bundle], raw: Path) -> None:
    """Store the functions of this machine's files in the raw output of a campaign, as no image has them."""
    for name, file in (item for each in bundles for item in each.files.items()):
        kept = raw / function_file(Prefix.USR.path(name))
        with suppress(FormatError):
            text = functions_text(elf_symbols(file.read_bytes(), name=str(file)))
            writer.write_bytes(kept, gzip.compress(text.encode(errors="surrogateescape"), mtime=0))
