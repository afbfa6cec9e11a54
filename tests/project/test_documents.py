# SPDX-License-Identifier: MIT
"""The pages: links lead somewhere, commands exist, quoted messages can be printed, decisions are listed."""

from __future__ import annotations

import ast
import re
import shlex
from argparse import ArgumentParser
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from support.paths import REPOSITORY

from kmlbench.cli.parser import option_names, parse_arguments
from kmlbench.cli.programs import benchmark_parser, kmlbench_parser
from kmlbench.errors import InputError

DOCS = REPOSITORY / "docs"
PARTS_OF_A_CAMPAIGN = 2
UNTOUCHED = {".venv", "build", "node_modules", ".git", "linux"}
PAGES = sorted(
    path
    for path in REPOSITORY.rglob("*.md")
    if not UNTOUCHED & set((relative := path.relative_to(REPOSITORY)).parts)
    and not (relative.parts[0] == "results" and len(relative.parts) > PARTS_OF_A_CAMPAIGN)
)
PARSERS = {"kmlbench": kmlbench_parser, "run-benchmark": benchmark_parser}
SHORTEST = 4
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def named(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def prose(path: Path) -> str:
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", path.read_text()))


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives to headings."""
    result: list[str] = []
    for heading in re.findall(r"^#+ (.*)$", FENCE.sub("", path.read_text()), re.MULTILINE):
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        result.append(f"{anchor}-{result.count(anchor)}" if anchor in result else anchor)
    return set(result)


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_every_link_of_the_project_leads_to_a_page_and_its_heading(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if re.match(r"[a-z]+:", target):
            continue
        place, _, anchor = target.partition("#")
        other = (path.parent / place).resolve() if place else path
        assert other.exists(), f"{named(path)}: {target}"
        assert not anchor or anchor in anchors(other), f"{named(path)}: {target}"


def commands() -> Iterator[tuple[str, str]]:
    """The commands in blocks of every page, as a reader would type them."""
    for path in PAGES:
        lines = re.findall(
            r"^    ((?:kmlbench|run-benchmark) .*|run-benchmark)$", path.read_text(), re.MULTILINE
        )
        yield from ((named(path), line) for line in dict.fromkeys(lines))


def mentions() -> Iterator[tuple[str, str]]:
    """The commands in the prose of every page, which may be named without what they need."""
    for path in PAGES:
        quoted = re.findall(r"(?<!`)`([^`]+)`(?!`)", FENCE.sub("", path.read_text()))
        lines = [re.sub(r"\s+", " ", line) for line in quoted]
        match = [line for line in lines if re.match(r"(kmlbench|run-benchmark) [a-z-]", line)]
        yield from ((named(path), line) for line in dict.fromkeys(match))


def typed(command: str) -> list[str]:
    """The words, without a comment or what the shell does with the output; optional arguments are given."""
    line = re.sub(r"\s+(#|2?>|\|(?=\s)).*", "", command)
    return shlex.split(re.sub(r"[\[\]]", "", line))


def spelled(words: list[str]) -> Iterator[list[str]]:
    """`host prepare|check|clean NAME` is three commands."""
    for index, word in enumerate(words):
        if "|" in word:
            for part in word.split("|"):
                yield from spelled([*words[:index], part, *words[index + 1 :]])
            return
    yield words


@pytest.mark.parametrize(("page", "command"), list(commands()))
def test_every_command_that_a_page_shows_is_one(page: str, command: str) -> None:
    assert page
    words = typed(command)
    assert not parse_arguments(PARSERS[words[0]](), words[1:]).faults


@pytest.mark.parametrize(("page", "command"), list(mentions()))
def test_every_command_that_a_page_speaks_of_exists(page: str, command: str) -> None:
    assert page
    for words in spelled(typed(command)):
        parser = PARSERS[words[0]]()
        assert {word for word in words if word.startswith("--") and word != "--"} <= {*option_names(parser)}
        # argparse ends the program at these two.
        assert not _faults(parser, [word for word in words[1:] if word not in ("…", "--help", "--version")])


def _faults(parser: ArgumentParser, words: list[str]) -> list[str]:
    """What is wrong with the words, but for what is left out."""
    try:
        faults: list[str] = parse_arguments(parser, words).faults
    except InputError as error:
        faults = list(error.faults)
    left_out = r"the following arguments are required|argument .*: (expected one|invalid choice: '[A-Z]+')"
    return [each for each in faults if not re.match(left_out, each)]


def test_commands_were_found() -> None:
    pages = {page for page, _ in commands()}
    assert {"docs/quick-start.md", "docs/kernel.md", "docs/two-machines.md"} <= pages
    assert {"README.md", "docs/numbers.md"} <= {page for page, _ in mentions()}


def test_every_target_of_make_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    for path in PAGES:
        for target in re.findall(r"(?:^    |`)make ([a-z]+)", path.read_text(), re.MULTILINE):
            assert target in targets, f"{named(path)}: make {target}"


def test_the_quick_start_lists_the_packages_of_a_machine_that_builds_and_measures() -> None:
    lines = (REPOSITORY / "tools" / "packages.txt").read_text().splitlines()
    text = (DOCS / "quick-start.md").read_text().replace("\\\n", "")
    match = re.search("apt-get install --no-install-recommends (.*)", text)
    assert match
    assert match[1].split() == [line for line in lines if not line.startswith("#")]


@cache
def messages() -> str:
    """All texts of the package's sources, one a line, with … for what is put into them; the kernel's, too."""
    lines: list[str] = []
    for path in (REPOSITORY / "kmlbench").rglob("*.py"):
        tree = ast.parse(path.read_text())
        documentation = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            match node:
                case ast.Constant() if node in documentation:
                    continue
                case ast.JoinedStr(values=parts):
                    texts = [part.value if isinstance(part, ast.Constant) else "…" for part in parts]
                    lines.append(" ".join("".join(map(str, texts)).splitlines()))
                case ast.Constant(value=str(text)):
                    lines.append(" ".join(text.splitlines()))
    patches = (REPOSITORY / "kernel").glob("*/patches/*.patch")
    sources = (REPOSITORY / "workloads").glob("*/*.[ch]")
    return "\n".join([*lines, *(path.read_text() for path in (*patches, *sources))])


def quoted() -> list[str]:
    text = (DOCS / "troubleshooting.md").read_text()
    return re.findall(r"^### `(.*)`$", text, re.MULTILINE)


@pytest.mark.parametrize("message", quoted())
def test_a_quoted_message_can_be_printed(message: str) -> None:
    pattern = "[^\n]*?".join(map(re.escape, message.split("…")))
    assert re.search(pattern, messages()), message
    assert len(message.replace("…", "")) > SHORTEST


HEADER = re.compile(
    r"# (\d{4})\. (.*)\n\n"
    r"\* Status: (accepted|superseded by \[\d{4}\]\(\d{4}-[\w-]+\.md\))\n"
    r"\* Date: (\d{4}-\d\d-\d\d)\n\n"
)
DECISIONS = sorted((DOCS / "decisions").glob("[0-9]*.md"))


@pytest.mark.parametrize("path", DECISIONS, ids=named)
def test_every_decision_has_the_header_and_is_listed_with_it(path: Path) -> None:
    index = (DOCS / "decisions/README.md").read_text()
    header = HEADER.match(path.read_text())
    assert header
    number, title, status, date = header.groups()
    assert path.name.startswith(f"{number}-")
    assert f"| [{number}]({path.name}) | {title} | {date} | {status} |" in index


def test_decisions_are_numbered_without_gaps() -> None:
    assert [int(path.name[:4]) for path in DECISIONS] == [*range(1, len(DECISIONS) + 1)]


def test_every_decision_that_the_code_names_exists() -> None:
    numbers = {path.name[:4] for path in DECISIONS}
    for folder in ("kmlbench", "workloads", "benchmarks", "guest", "tools"):
        for path in (REPOSITORY / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                named_there = re.findall(r"docs/decisions/(\d{4})", path.read_text(errors="replace"))
                assert set(named_there) <= numbers, named(path)


def test_every_page_is_in_the_index() -> None:
    index = (DOCS / "README.md").read_text()
    for path in sorted(DOCS.glob("*.md")):
        assert path.name == "README.md" or f"]({path.name})" in index
