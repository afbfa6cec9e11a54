# SPDX-License-Identifier: MIT
"""Which program measured a campaign: changed files of it tell, what its user gives to it does not."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.fake_host import Exchange
from support.host_sessions import ANY_GETPID
from support.played_machines import Playing, breaking, hosts_file, stage, whole
from support.synthetic_campaigns import Recipe, build, edit

from kmlbench import provenance
from kmlbench.cli.main import main, run_benchmark
from kmlbench.report import write as report

COMMIT = "c0ffee" * 6 + "c0ff"
git_commit = provenance.git_commit


@dataclass(frozen=True, slots=True)
class Clone:
    """The project in git, with a file of the program, one of its pages, and a hosts.yaml."""

    path: Path

    def git(self, *words: str) -> str:
        text = subprocess.run(
            ("git", "-C", str(self.path), *words), check=True, capture_output=True, text=True
        )
        return text.stdout.strip()

    def write(self, name: str, text: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clone:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "nobody")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "nobody@example.org")
    made = Clone(tmp_path / "project")
    made.write("kmlbench/run.py", "first\n")
    made.write("workloads/getpid/getpid.c", "int main;\n")
    made.write("docs/page.md", "# Page\n")
    hosts_file(made.path, blocks=1)
    made.git("init", "--quiet")
    made.git("add", "--all")
    made.git("commit", "--quiet", "--message", "project: begin")
    monkeypatch.setattr(provenance, "PROJECT", made.path)
    return made


def test_what_a_user_gives_to_the_program_is_no_change_of_it(clone: Clone) -> None:
    assert git_commit() == clone.git("rev-parse", "HEAD")
    for name in ("hosts.yaml", "results/README.md", "docs/page.md", "report.pdf", "two-hosts.yaml"):
        clone.write(name, "mine\n")
    assert git_commit() == clone.git("rev-parse", "HEAD")


def test_every_change_of_the_program_has_its_own_version(clone: Clone) -> None:
    clean = git_commit()
    plugin = clone.write("instrument/plugin.c", "")
    assert git_commit() != clean
    plugin.unlink()
    file = clone.write("kmlbench/run.py", "second\n")
    second = git_commit()
    assert re.fullmatch(rf"{clean}-dirty-[0-9a-f]{{12}}", second)
    clone.write("kmlbench/run.py", "third\n")
    third = git_commit()
    clone.git("add", "--all")
    assert git_commit() == third
    new = clone.write("workloads/new.sh", "")
    added = git_commit()
    new.chmod(0o755)
    executable = git_commit()
    new.unlink()
    file.unlink()
    deleted = git_commit()
    assert len({clean, second, third, added, executable, deleted}) == 6
    clone.write("kmlbench/run.py", "second\n")
    assert git_commit() == second
    clone.write("kmlbench/run.py", "first\n")
    assert git_commit() == clean


def test_outside_of_git_the_version_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "PROJECT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_commit() == "unknown"


def test_outside_of_git_the_version_is_the_one_that_was_recorded(clone: Clone) -> None:
    clone.write(provenance.RECORDED, f"{COMMIT}\n")
    assert git_commit() == clone.git("rev-parse", "HEAD")
    (clone.path / ".git").rename(clone.path / "moved")
    assert git_commit() == COMMIT


def tagged(clone: Clone, tag: str) -> str:
    """The version at this tag."""
    clone.git("tag", tag)
    return provenance.package_version()


def committed(clone: Clone) -> str:
    """The version after one more commit, without its digits."""
    clone.git("commit", "--quiet", "--allow-empty", "--message", "project: more")
    return re.sub(rf"\+g{clone.git('rev-parse', 'HEAD')[:9]}$", "+COMMIT", provenance.package_version())


def test_the_version_is_that_of_the_tag_or_counts_the_commits_since(clone: Clone) -> None:
    assert committed(clone) == "0.1.dev2+COMMIT"
    assert tagged(clone, "v1.2") == "1.2"
    assert committed(clone) == "1.2.post1+COMMIT"
    assert committed(clone) == "1.2.post2+COMMIT"
    clone.git("tag", "--annotate", "--message", "second", "v1.2.1")
    assert provenance.package_version() == "1.2.1"


@pytest.mark.parametrize("tag", ["very-good", "v1.2-kernel", "vanilla", "2.0"])
def test_a_tag_that_is_no_release_is_no_version(clone: Clone, tag: str) -> None:
    before = provenance.package_version()
    assert before.startswith("0.1.dev1+g")
    assert tagged(clone, tag) == before


def test_a_version_says_that_the_program_was_changed(clone: Clone) -> None:
    first = clone.git("rev-parse", "HEAD")[:9]
    clone.write("kmlbench/run.py", "second\n")
    assert provenance.package_version() == f"0.1.dev1+g{first}.dirty"
    assert tagged(clone, "v1.2") == f"1.2+g{first}.dirty"


def test_a_clone_of_the_last_commit_alone_has_a_version(clone: Clone, tmp_path: Path) -> None:
    tagged(clone, "v1.2")
    committed(clone)
    shallow = Clone(tmp_path / "shallow")
    clone.git("clone", "--quiet", "--depth=1", clone.path.as_uri(), str(shallow.path))
    assert provenance.package_version().startswith("1.2.post1+g")
    with pytest.MonkeyPatch.context() as inside:
        inside.setattr(provenance, "PROJECT", shallow.path)
        assert provenance.package_version() == f"0.1.dev1+g{shallow.git('rev-parse', 'HEAD')[:9]}"


@pytest.mark.usefixtures("clone")
def test_without_git_there_is_a_version_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert provenance.package_version() == "0.1.dev0+unknown"


@dataclass(frozen=True, slots=True)
class Benchmark:
    """`run-benchmark` of the program in a clone, on played hosts."""

    playing: Playing
    capsys: pytest.CaptureFixture[str]

    def begin(self) -> None:
        """Begin a campaign, and interrupt it."""
        interrupt = Exchange(argv=ANY_GETPID, raises=KeyboardInterrupt())
        self.playing.script = lambda boot: breaking(boot, 1, interrupt)
        assert run_benchmark([]) == 130
        self.playing.script = whole

    def resume(self) -> tuple[int, str]:
        """The exit code, and what was told."""
        self.capsys.readouterr()
        code = run_benchmark(["--resume", "latest"])
        return code, self.capsys.readouterr().err


@pytest.fixture
def benchmark(clone: Clone, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Benchmark:
    playing = Playing()
    stage(monkeypatch, playing)
    monkeypatch.setattr(provenance, "git_commit", git_commit)
    monkeypatch.setattr(report, "write_report", lambda directory, **_: directory / "report.html")
    monkeypatch.chdir(clone.path)
    return Benchmark(playing, capsys)


def test_a_campaign_goes_on_after_its_hosts_file_was_edited(clone: Clone, benchmark: Benchmark) -> None:
    benchmark.begin()
    hosts = clone.path / "hosts.yaml"
    hosts.write_text(f"{hosts.read_text()}# mine\n")
    assert benchmark.resume()[0] == 0


def test_a_changed_program_is_told_how_to_undo_it(clone: Clone, benchmark: Benchmark) -> None:
    benchmark.begin()
    clone.write("kmlbench/run.py", "second\n")
    code, text = benchmark.resume()
    assert code == 2
    assert "remedy: undo or stash your changes (`git status` names them), or start a new campaign" in text
    clone.git("stash")
    assert benchmark.resume()[0] == 0


def test_two_changed_programs_are_not_one(clone: Clone, benchmark: Benchmark) -> None:
    clone.write("kmlbench/run.py", "second\n")
    benchmark.begin()
    clone.write("kmlbench/run.py", "third\n")
    code, text = benchmark.resume()
    assert code == 2
    checkout = f"git checkout {clone.git('rev-parse', 'HEAD')}"
    assert (
        f"remedy: undo or stash your changes (`git status` names them), then {checkout}, then redo the "
        "changes that are not in that commit, or start a new campaign" in text
    )
    clone.write("kmlbench/run.py", "second\n")
    assert benchmark.resume()[0] == 0


def test_another_commit_is_checked_out(clone: Clone, benchmark: Benchmark) -> None:
    benchmark.begin()
    began = git_commit()
    clone.write("kmlbench/run.py", "second\n")
    clone.git("commit", "--quiet", "--all", "--message", "run: second")
    assert f"remedy: git checkout {began}, or start a new campaign" in benchmark.resume()[1]
    clone.git("checkout", "--quiet", began)
    assert benchmark.resume()[0] == 0


def test_a_program_outside_of_git_has_no_commit_to_check_out(
    benchmark: Benchmark, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as outside:
        outside.setattr(provenance, "git_commit", lambda: "unknown")
        benchmark.begin()
    code, text = benchmark.resume()
    assert code == 2
    assert "git checkout" not in text
    assert "remedy: resume it with the copy of kmlbench that started it, or start a new campaign" in text


def test_a_wheel_of_another_version_is_told_how_to_have_the_one_that_began(
    clone: Clone, benchmark: Benchmark
) -> None:
    benchmark.begin()
    began = git_commit()
    (clone.path / ".git").rename(clone.path / "moved")
    for other in (COMMIT, f"{began}-dirty-0123456789ab"):
        clone.write(provenance.RECORDED, other)
        code, text = benchmark.resume()
        assert code == 2
        assert f"remedy: git checkout {began}, and install kmlbench from there, or start a new" in text
    clone.write(provenance.RECORDED, began)
    assert benchmark.resume()[0] == 0


CHANGED, UNKNOWN = (
    "The program had changes that are not in that commit.",
    "The version of the program is not known.",
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recorded", "shown", "sentence"),
    [
        (COMMIT, f"git checkout {COMMIT}\nrun-benchmark ", None),
        (f"{COMMIT}-dirty", f"git checkout {COMMIT}\nrun-benchmark ", CHANGED),
        (f"{COMMIT}-dirty-0123456789ab", f"git checkout {COMMIT}\nrun-benchmark ", CHANGED),
        ("unknown", '<pre class="command">run-benchmark ', UNKNOWN),
    ],
)
def test_the_report_says_how_to_have_the_program_again(
    tmp_path: Path, recorded: str, shown: str, sentence: str | None
) -> None:
    directory = build(tmp_path, Recipe(blocks=1, workloads=("getpid",)))
    edit(directory / "campaign.json", lambda record: record.update(git_commit=recorded))
    assert main(["report", str(directory)]) == 0
    page = (directory / "report.html").read_text()
    assert shown in page
    assert [each for each in (CHANGED, UNKNOWN) if each in page] == ([sentence] if sentence else [])
