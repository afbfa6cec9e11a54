# SPDX-License-Identifier: MIT
"""What a guest image holds: Debian's servers, the project's programs, and /trusted with the same bytes."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from kmlbench.build import image
from kmlbench.build.artifacts import ImageArtifact
from kmlbench.build.cache import Cache
from kmlbench.errors import BuildError, MachineError
from kmlbench.hosts.ssh import SshHost
from kmlbench.model import Server
from kmlbench.progress import Silent

TIMEOUT_S = 120.0
MEMINFO = "MemTotal: 8000000 kB\nMemAvailable: {available} kB\nHugePages_Total: 0\n"


def test_the_lists_are_common_and_the_servers() -> None:
    packages = image.listed("packages.txt", Server.MARIADB)
    assert {"openssh-server", "mariadb-server-core"} <= set(packages)
    assert "mysql-server-core" not in packages
    assert not [line for line in packages if line.startswith("#")]


def test_too_little_memory_is_said(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text(MEMINFO.format(available=1 << 20))
    with pytest.raises(MachineError, match=r"1\.0 GiB of memory are free"):
        image.require_memory(meminfo)
    meminfo.write_text(MEMINFO.format(available=3 << 20))
    image.require_memory(meminfo)


@pytest.mark.guest
def test_a_mirror_that_does_not_answer_is_a_build_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"(?s)bootstrap.*127\.0\.0\.1.*read .*debian-mysql\.log"):
        image.ensure(
            Server.MYSQL, cache=Cache(tmp_path), progress=Silent(), mirror="http://127.0.0.1:9/debian"
        )
    left = [path.name for path in (tmp_path / "debian").iterdir() if path.suffix != ".lock"]
    assert left == []


@pytest.mark.guest
def test_an_image_is_found_again_without_building(mysql_image: ImageArtifact, cache: Cache) -> None:
    assert image.ensure(Server.MYSQL, cache=cache, progress=Silent(), mirror="no mirror") == mysql_image


@pytest.mark.guest
def test_the_client_key_is_private_and_the_manifest_names_versions(mysql_image: ImageArtifact) -> None:
    assert stat.S_IMODE(mysql_image.client_key.stat().st_mode) == 0o600
    manifest = dict(line.split() for line in mysql_image.packages.read_text().splitlines())
    assert manifest["mysql-server-core"].startswith("9.")
    assert {"sysbench", "openssh-server", "libc6"} <= set(manifest)


@pytest.mark.guest
class TestGuest:
    def test_trusted_holds_hard_copies_of_the_same_bytes(self, stock_guest: SshHost) -> None:
        listing = stock_guest.run(("find", "/trusted", "-type", "f"), timeout_s=TIMEOUT_S)
        copies = listing.stdout.split()
        programs = ("sbin/mysqld", "bin/mysql", "bin/sysbench", "bin/bash", "lib/kmlbench/getpid")
        assert {f"/trusted/{program}" for program in programs} <= set(copies)
        for copy in copies:
            original = f"/usr/{copy.removeprefix('/trusted/')}"
            assert stock_guest.run(("cmp", original, copy), timeout_s=TIMEOUT_S).returncode == 0, copy

    def test_trusted_is_nobodys_but_roots(self, stock_guest: SshHost) -> None:
        argv = ("find", "/trusted", "(", "!", "-user", "root", "-o", "-perm", "/022", "-o", "-type", "l", ")")
        result = stock_guest.run(argv, timeout_s=TIMEOUT_S)
        assert (result.stdout, result.returncode) == ("", 0)

    def test_the_pristine_data_directory_is_small_and_the_servers(self, stock_guest: SshHost) -> None:
        result = stock_guest.run(("du", "-sm", "/var/lib/kmlbench/data"), timeout_s=TIMEOUT_S)
        assert 10 < int(result.stdout.split()[0]) < 100
        owner = stock_guest.run(("stat", "-c", "%U", "/var/lib/kmlbench/data/mysql.ibd"), timeout_s=TIMEOUT_S)
        assert owner.stdout == "mysql\n"

    def test_roots_home_with_the_key_is_nobody_elses(self, stock_guest: SshHost) -> None:
        modes = stock_guest.run(("sh", "-c", "stat -c %a ~ ~/.ssh"), timeout_s=TIMEOUT_S)
        assert modes.stdout.split() == ["700", "700"]

    def test_orphans_are_collected(self, stock_guest: SshHost) -> None:
        stock_guest.run(("sh", "-c", "setsid sh -c 'true &' & wait"), timeout_s=TIMEOUT_S)
        result = stock_guest.run(("ps", "-eo", "stat=,comm="), timeout_s=TIMEOUT_S)
        assert [line for line in result.stdout.splitlines() if line.startswith("Z")] == []

    def test_memory_file_systems_are_mounted(self, stock_guest: SshHost) -> None:
        argv = ("stat", "-f", "-c", "%T", "/run", "/tmp", "/dev/shm", "/proc", "/sys")
        result = stock_guest.run(argv, timeout_s=TIMEOUT_S)
        assert result.stdout.split() == ["tmpfs", "tmpfs", "tmpfs", "proc", "sysfs"]

    def test_no_thread_collapses_pages_or_writes_back_at_a_time_of_its_own(
        self, stock_guest: SshHost
    ) -> None:
        never = {
            "/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs": "4294967295",
            "/proc/sys/vm/dirty_writeback_centisecs": "0",
        }
        assert stock_guest.run(("cat", *never), timeout_s=TIMEOUT_S).stdout.split() == [*never.values()]
