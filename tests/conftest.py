# SPDX-License-Identifier: MIT
"""What the tests share: built kernels and images from the user's cache, and one guest of each kernel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from support.guests import PROCESSOR

from kmlbench import process
from kmlbench.build import image, kernel
from kmlbench.build.artifacts import ImageArtifact, KernelArtifact
from kmlbench.build.bases import DEFAULT, Base
from kmlbench.build.cache import Cache, default_cache
from kmlbench.hosts.qemu import GuestSpec, boot
from kmlbench.hosts.ssh import SshHost
from kmlbench.model import Acceleration, Clock, Kernel, Server
from kmlbench.paths import KERNEL
from kmlbench.progress import Silent

# A neighbour on the other processor may take an example's time; a test as a whole has pytest's timeout.
settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")

# Files of tests that take longest, longest first.
LONGEST = (
    *("guest/test_two_machines.py", "guest/test_sudo_and_jump_host.py", "guest/test_campaign.py"),
    *("guest/test_load.py", "guest/test_hardship.py", "guest/test_admission.py", "guest/test_server.py"),
)

# A program of kernel/tests writes to its own code by /proc/self/mem. Debian's 7.2 allows only tracers to.
WRITABLE_CODE = "proc_mem.force_override=always"


def pytest_addoption(parser: pytest.Parser) -> None:
    """`make test ARGS="--kernel 7.2"`: the guests of fixtures have this version of Linux."""
    parser.addoption("--kernel", type=Base, choices=list(Base), default=DEFAULT)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Workers are given whole files in this order: what takes long begins first, unit tests fill the end.

    A soak runs when -m asks for it. As an option of pytest's own, "not soak" would end with any other -m.
    """
    if "soak" not in config.option.markexpr:
        soaks = [item for item in items if item.get_closest_marker("soak") is not None]
        items[:] = [item for item in items if item not in soaks]
        config.hook.pytest_deselected(items=soaks)
    items.sort(key=_place)


def _place(item: pytest.Item) -> tuple[int, int]:
    file = str(item.path.relative_to(Path(__file__).parent))
    kinds = [item.get_closest_marker(name) is not None for name in ("guest", "browser", "slow")]
    rank = LONGEST.index(file) if file in LONGEST else len(LONGEST)
    return (rank, kinds.index(True) if any(kinds) else len(kinds))


@pytest.fixture(autouse=True)
def own_claims(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test's campaigns claim machines among themselves; what else runs on this machine may go on."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))


@pytest.fixture(scope="session")
def cache() -> Cache:
    return default_cache()


@pytest.fixture(scope="session")
def base(pytestconfig: pytest.Config) -> Base:
    """The version of Linux of the guests."""
    chosen: Base = pytestconfig.getoption("--kernel")
    return chosen


@pytest.fixture(scope="session")
def stock_kernel(base: Base, cache: Cache) -> KernelArtifact:
    return kernel.ensure(Kernel.STOCK, base, cache=cache, progress=Silent())


@pytest.fixture(scope="session")
def kml_kernel(base: Base, cache: Cache) -> KernelArtifact:
    return kernel.ensure(Kernel.KML, base, cache=cache, progress=Silent())


@pytest.fixture(scope="session")
def kernel_programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the compiled programs of kernel/tests."""
    out = tmp_path_factory.mktemp("kernel-tests")
    process.check(("make", "-C", str(KERNEL / "tests"), f"OUT={out}"), timeout_s=300.0)
    return out


@pytest.fixture(scope="session")
def mysql_image(cache: Cache) -> ImageArtifact:
    return image.ensure(Server.MYSQL, cache=cache, progress=Silent())


def specification(built: KernelArtifact, root: ImageArtifact) -> GuestSpec:
    """A guest for tests: emulated, in real time."""
    return GuestSpec(
        name=built.kernel,
        kernel=built,
        image=root,
        memory_mb=2048,
        cpus=1,
        cpu_model=PROCESSOR,
        clock=Clock.TIME,
        acceleration=Acceleration.TCG,
        seed=1,
        command_line=WRITABLE_CODE,
    )


@pytest.fixture(scope="session")
def stock_spec(stock_kernel: KernelArtifact, mysql_image: ImageArtifact) -> GuestSpec:
    return specification(stock_kernel, mysql_image)


@pytest.fixture(scope="session")
def kml_spec(kml_kernel: KernelArtifact, mysql_image: ImageArtifact) -> GuestSpec:
    return specification(kml_kernel, mysql_image)


@pytest.fixture(scope="session")
def stock_guest(stock_spec: GuestSpec, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshHost]:
    with boot(stock_spec, directory=tmp_path_factory.mktemp("stock")) as host:
        yield host


@pytest.fixture(scope="session")
def kml_guest(kml_spec: GuestSpec, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshHost]:
    with boot(kml_spec, directory=tmp_path_factory.mktemp("kml")) as host:
        yield host


@pytest.fixture(scope="session")
def mariadb_image(cache: Cache) -> ImageArtifact:
    return image.ensure(Server.MARIADB, cache=cache, progress=Silent())
