# SPDX-License-Identifier: MIT
"""A wheel that was built from an sdist has all that the package needs, wherever it is installed and run."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path

import pytest
from run.test_campaign import Rig
from support.paths import REPOSITORY

from kmlbench import provenance
from kmlbench.build import deb, image, kernel
from kmlbench.build.bases import Base
from kmlbench.model import Kernel, Server

pytestmark = pytest.mark.slow

BUILD = "from setuptools import build_meta; print(build_meta.build_{}({!r}))"

# What decides which kernels, images and packages of the cache are used.
CONTENTS = """
import json, pathlib, sys
from kmlbench.build import deb, image, kernel
from kmlbench.build.bases import Base
from kmlbench.model import Kernel, Server
debian = pathlib.Path(sys.argv[1])
contents = {f"{name} {base}": dict(kernel.content(name, base)) for base in Base for name in Kernel}
for server in Server:
    contents[server] = dict(image.content(server, debian))
    contents[f"debian {server}"] = dict(image.debian_content(server))
for base in Base:
    contents[f"deb {base}"] = dict(deb.content(Kernel.KML, deb.request("lean", base)))
print(json.dumps(contents))
"""

PLUGIN = """
from kmlbench.build import instrument
built = instrument.ensure()
print(getattr(built, "plugin", built))
"""

LEFT_LYING_ABOUT = (
    "build/lib/kmlbench/removed.py",
    "workloads/client/__pycache__/mixes.cpython-311.pyc",
    "kernel/common/patches/__pycache__/old.pyc",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """An environment that has the wheel and no checkout; commands run in `place`, which is also the home."""

    sdist: Path
    wheel: Path
    programs: Path
    place: Path

    @property
    def data(self) -> Path:
        return next(self.programs.parent.glob("lib/python*/site-packages/kmlbench/data"))

    def run(self, program: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            (self.programs / program, *words),
            cwd=self.place,
            env={"HOME": str(self.place), "PATH": os.environ["PATH"], **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def printed(self, program: str, *words: str) -> str:
        ran = self.run(program, *words)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    directory = tmp_path_factory.mktemp("wheel")
    backend = build_backend(directory / "backend")
    archive = built("sdist", backend=backend, tree=REPOSITORY, target=directory)
    subprocess.run(("tar", "--extract", "--file", archive, "--directory", directory), check=True)
    tree = directory / archive.name.removesuffix(".tar.gz")
    for name in LEFT_LYING_ABOUT:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).touch()
    wheel = built("wheel", backend=backend, tree=tree, target=directory)
    shutil.rmtree(tree)
    place = directory / "elsewhere"
    place.mkdir()
    programs = environment(directory / "environment", wheel)
    return Installed(sdist=archive, wheel=wheel, programs=programs, place=place)


def build_backend(directory: Path) -> Path:
    """What pip has in an isolated build: setuptools, and nothing that the package depends on."""
    directory.mkdir()
    distribution = importlib.metadata.distribution("setuptools")
    site = Path(str(distribution.locate_file("")))
    for name in ("setuptools", "_distutils_hack", f"setuptools-{distribution.version}.dist-info"):
        (directory / name).symlink_to(site / name)
    return directory


def built(kind: str, *, backend: Path, tree: Path, target: Path) -> Path:
    """The archive that the build backend makes of a tree."""
    ran = subprocess.run(
        (sys.executable, "-S", "-c", BUILD.format(kind, str(target))),
        cwd=tree,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(backend), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return target / ran.stdout.splitlines()[-1]


def environment(directory: Path, wheel: Path) -> Path:
    """The programs of a new virtual environment with the wheel; it borrows the dependencies."""
    subprocess.run((sys.executable, "-m", "venv", "--without-pip", directory), check=True)
    python = directory / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--isolated", "--quiet", "--disable-pip-version-check")
    options = ("--no-deps", "--no-index", "--no-compile", "--no-warn-script-location")
    words = (*pip, "--python", python, "install", *options, wheel)
    subprocess.run(words, env={"PATH": os.environ["PATH"]}, check=True)
    site = next(directory.glob("lib/python*/site-packages"))
    (site / "dependencies.pth").write_text(f"{sysconfig.get_paths()['purelib']}\n")
    return python.parent


def test_it_runs_from_the_wheel_alone(installed: Installed) -> None:
    where = installed.printed("python", "-c", "import kmlbench; print(kmlbench.__file__)")
    assert Path(where.strip()).is_relative_to(installed.programs.parent)


@pytest.mark.parametrize("program", ["kmlbench", "run-benchmark"])
def test_it_has_the_version_and_the_commit_of_what_it_was_built_from(
    installed: Installed, program: str
) -> None:
    version = provenance.package_version()
    assert installed.printed(program, "--version") == (
        f"{program} {version}, source {provenance.git_commit()}\n"
    )


@pytest.mark.parametrize(("tag", "version"), [("v7.5", r"7\.5"), (None, r"0\.1\.dev\d+\+g[0-9a-f]{9}")])
def test_sdist_and_wheels_have_the_version_of_the_tag_or_one_that_counts_commits(
    tmp_path: Path, tag: str | None, version: str
) -> None:
    clone, backend = tmp_path / "clone", build_backend(tmp_path / "backend")
    options = ("--quiet", "--no-tags", "--no-hardlinks")
    subprocess.run(("git", "clone", *options, REPOSITORY, clone), check=True)
    if tag is not None:
        subprocess.run(("git", "-C", clone, "tag", tag), check=True)
    archive = built("sdist", backend=backend, tree=clone, target=tmp_path)
    direct = built("wheel", backend=backend, tree=clone, target=tmp_path / "direct")
    subprocess.run(("tar", "--extract", "--file", archive, "--directory", tmp_path), check=True)
    tree = tmp_path / archive.name.removesuffix(".tar.gz")
    indirect = built("wheel", backend=backend, tree=tree, target=tmp_path)
    assert re.fullmatch(rf"kmlbench-{version}\.tar\.gz", archive.name)
    assert archive.name.removesuffix(".tar.gz") == indirect.name.removesuffix("-py3-none-any.whl")
    assert direct.name == indirect.name
    assert archived_version(direct) == archived_version(indirect)


def archived_version(wheel: Path) -> str:
    """What the wheel's metadata says, and the commit it was built from."""
    with zipfile.ZipFile(wheel) as opened:
        metadata = next(name for name in opened.namelist() if name.endswith("/METADATA"))
        version = Parser().parsestr(opened.read(metadata).decode())["Version"]
        return f"{version}, source {opened.read('kmlbench/data/commit').decode()}"


def test_an_example_of_hosts_yaml_and_its_schema_are_what_a_campaign_begins_with(
    installed: Installed,
) -> None:
    missing = installed.run("run-benchmark", "--dry-run")
    assert missing.returncode == 2
    assert "kmlbench host example > hosts.yaml" in missing.stderr
    assert installed.printed("kmlbench", "host", "schema") == (REPOSITORY / "hosts.schema.json").read_text()
    example = installed.printed("kmlbench", "host", "example")
    assert example == (REPOSITORY / "hosts.yaml").read_text()
    (installed.place / "hosts.yaml").write_text(example)
    assert "kml:/trusted" in installed.printed("run-benchmark", "--dry-run")


def test_the_page_that_a_remedy_names_is_there(installed: Installed, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts.yaml"
    hosts.write_text("hosts: {}\n")
    ran = installed.run("run-benchmark", "--dry-run", "--hosts", str(hosts))
    match = re.search(r"remedy: (\S*) explains every field", ran.stderr)
    assert match, ran.stderr
    assert Path(match[1]).is_absolute()
    assert Path(match[1]).read_text() == (REPOSITORY / "docs" / "hosts.md").read_text()


def test_kernels_and_images_are_those_of_the_checkout(installed: Installed, tmp_path: Path) -> None:
    """Else each of the two would build its own, for half an hour."""
    (tmp_path / "packages").write_text("mysql-server-core 9.7\n")
    contents: dict[str, object] = {
        f"{name} {base}": kernel.content(name, base) for base in Base for name in Kernel
    }
    for server in Server:
        contents[server] = image.content(server, tmp_path)
        contents[f"debian {server}"] = image.debian_content(server)
    for base in Base:
        contents[f"deb {base}"] = deb.content(Kernel.KML, deb.request("lean", base))
    assert json.loads(installed.printed("python", "-c", CONTENTS, str(tmp_path))) == contents


def test_what_runs_at_a_build_is_executable(installed: Installed) -> None:
    for source in (REPOSITORY / "guest").rglob("*"):
        copy = installed.data / source.relative_to(REPOSITORY)
        assert os.access(copy, os.X_OK) == os.access(source, os.X_OK), copy


def test_the_instrument_is_built_in_the_cache_of_its_user(installed: Installed) -> None:
    before = {path: path.stat().st_mtime_ns for path in installed.data.rglob("*")}
    plugin = Path(installed.printed("python", "-c", PLUGIN).strip())
    assert plugin.is_file(), plugin
    assert plugin.is_relative_to(installed.place / ".cache" / "kmlbench" / "instrument")
    assert {path: path.stat().st_mtime_ns for path in installed.data.rglob("*")} == before


def test_price_lists_and_the_program_that_measures_one_are_there(installed: Installed) -> None:
    listed = installed.run("kmlbench", "costs", "--list")
    assert "amd-k8: " in listed.stdout, listed.stderr
    assert (installed.data / "data" / "costs" / "costs.c").is_file()


def test_published_figures_are_there(installed: Installed) -> None:
    names = "from kmlbench.analysis import published; print([peer.name for peer in published.peers()])"
    assert "Lupine" in installed.printed("python", "-c", names)


def test_workload_files_are_there(installed: Installed) -> None:
    names = "from kmlbench.workloads.registry import ADAPTERS; print(*ADAPTERS)"
    files = {path.stem for path in (REPOSITORY / "workloads").glob("*.toml")}
    assert files <= set(installed.printed("python", "-c", names).split())


def test_what_this_machine_lacks_is_told_as_packages(installed: Installed, tmp_path: Path) -> None:
    ran = installed.run("kmlbench", "guest", "build", PATH=str(tmp_path))
    assert ran.returncode == 3
    assert "remedy: as root: apt-get install --no-install-recommends bc binutils " in ran.stderr


def test_campaigns_are_reported_and_verified(installed: Installed, tmp_path: Path) -> None:
    campaign = Rig(directory=tmp_path, blocks=2).run().directory
    assert installed.printed("kmlbench", "report", str(campaign)).strip() == f"{campaign}/report.html"
    assert "match the raw output" in installed.printed("kmlbench", "verify", str(campaign))


def test_what_an_earlier_build_left_is_not_in_the_wheel(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as opened:
        names = opened.namelist()
    assert "kmlbench/data/workloads/client/mixes.py" in names
    assert not [name for name in names if name.endswith((".pyc", "removed.py"))]


def test_the_sdist_is_the_repository(installed: Installed) -> None:
    with tarfile.open(installed.sdist) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    listed = ("git", "-C", str(REPOSITORY), "ls-files", "-z")
    tracked = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split("\0")
    assert set(tracked) - names == {".ci/run", ".gitignore"}
