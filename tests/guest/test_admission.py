# SPDX-License-Identifier: MIT
"""Who may enter kernel mode: an attack for each sentence of the rule, in real guests.

Every attack has its control: the same program, or the same way in, without the attack runs in kernel mode.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.guest_programs import TIMEOUT_S, check, run

from kmlbench import process as commands
from kmlbench.hosts.ssh import SshHost
from kmlbench.paths import KERNEL

HERE = "/trusted/admission"
CAT = f"{HERE}/cat"
ENTER = "/usr/lib/kmlbench/enter"
STATUS = "/proc/self/status"
USER, OTHER = 1000, 1001
REFUSED = 126
# What a test has mounted and made.
CLEAN = f"""
awk '$2 ~ "^({HERE}|/tmp/admission)" {{ print $2 }}' /proc/mounts | sort -r | xargs -r umount -l
rm -rf --one-file-system {HERE} /tmp/admission
"""
# The root once more, for a chroot.
MAKE_ROOT = "mkdir /tmp/admission; mount --bind / /tmp/admission; mount -t proc proc /tmp/admission/proc"

pytestmark = pytest.mark.guest


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("admission")
    targets = (f"{out}/enter", f"{out}/preload.so")
    commands.check(("make", "-C", str(KERNEL / "tests"), f"OUT={out}", *targets), timeout_s=TIMEOUT_S)
    return out


@pytest.fixture(scope="module")
def equipped(kml_guest: SshHost, programs: Path) -> Iterator[SshHost]:
    for name in ("enter", "preload.so"):
        kml_guest.put(programs / name, f"/usr/lib/kmlbench/{name}")
    yield kml_guest
    shell(kml_guest, f"{CLEAN} ! dmesg | grep -E 'BUG:|WARNING:|Oops'")


@pytest.fixture
def guest(equipped: SshHost) -> SshHost:
    """The kml guest with a directory of this test's own below /trusted, and cat in it."""
    shell(equipped, f"{CLEAN} mkdir {HERE}; cp /bin/cat {CAT}")
    return equipped


def shell(guest: SshHost, script: str) -> str:
    return check(guest, "sh", "-euc", script)


def kernel_modes(text: str) -> list[bool]:
    """Of each /proc/PID/status in a text, whether it says that the process runs in kernel mode."""
    return [line == "KernelMode:\t1" for line in text.splitlines() if line.startswith("KernelMode:")]


def kernel_mode(guest: SshHost, *argv: str) -> bool:
    """Whether a program that prints its /proc/self/status says that it runs in kernel mode."""
    (answer,) = kernel_modes(check(guest, *argv))
    return answer


def as_user(user: int = USER) -> tuple[str, ...]:
    """What runs a command as an ordinary user; setpriv itself keeps capabilities until env is executed."""
    return ("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--", "env")


def refusals(guest: SshHost, why: str) -> list[str]:
    """What the log says of refusals for this reason."""
    log = check(guest, "dmesg").splitlines()
    return [line for line in log if "stays in user mode" in line and line.endswith(why)]


def test_the_mode_bits_decide_who_may_enter(guest: SshHost) -> None:
    assert kernel_mode(guest, CAT, STATUS)
    assert kernel_mode(guest, *as_user(), CAT, STATUS)
    shell(guest, f"chgrp {OTHER} {HERE}; chmod 750 {HERE}")
    assert kernel_mode(guest, *as_user(OTHER), CAT, STATUS)
    assert "Permission denied" in run(guest, *as_user(), CAT, STATUS).stderr


def set_attribute(name: str, value: bytes) -> str:
    """A command that sets an extended attribute of CAT; there is no setfacl and no setcap in the guest."""
    return f"""python3 -c 'import os; os.setxattr("{CAT}", "{name}", bytes.fromhex("{value.hex()}"))'"""


def access_control_list() -> bytes:
    """What lets USER write a file: owner, USER, group, mask, others."""
    entries = ((1, 7, -1), (2, 7, USER), (4, 5, -1), (0x10, 7, -1), (0x20, 5, -1))
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)


CHANGEABLE = "somebody other than root may change it or its path"
FOREIGN = "its mount is noexec, nosuid or foreign"
CREDENTIALS = "it changes its credentials"
INDIRECT = "its mount is idmapped, or stacked on another file system"
FILES: dict[str, tuple[str, str | None]] = {
    "writable by others": (f"chmod o+w {CAT}", CHANGEABLE),
    "writable by a group": (f"chmod g+w {CAT}", CHANGEABLE),
    "owned by another": (f"chown {USER} {CAT}", CHANGEABLE),
    "in a directory writable by others": (f"chmod 1777 {HERE}", CHANGEABLE),
    "in a directory writable by a group": (f"chmod g+w {HERE}", CHANGEABLE),
    "in a directory of another": (f"chown {USER} {HERE}", CHANGEABLE),
    "set-user-ID": (f"chmod u+s {CAT}", CREDENTIALS),
    "set-group-ID": (f"chmod g+s {CAT}", CREDENTIALS),
    "below a link out of /trusted": (
        f"mkdir -p /tmp/admission; mv {CAT} /tmp/admission; ln -s /tmp/admission/cat {CAT}",
        None,
    ),
    "in a linked directory outside": (
        f"mv {HERE} /tmp/admission; ln -s /tmp/admission {HERE}",
        None,
    ),
    "on a nosuid mount": (
        f"mount -t tmpfs -o mode=755,nosuid tmpfs {HERE}; cp /bin/cat {CAT}",
        FOREIGN,
    ),
    "on a mount made nosuid": (
        f"mount --bind {HERE} {HERE}; mount -o remount,bind,nosuid {HERE}",
        FOREIGN,
    ),
    "a foreign file bound over it": (
        f"mkdir /tmp/admission; cp {CAT} /tmp/admission; chown {USER} /tmp/admission/cat;"
        f"mount --bind /tmp/admission/cat {CAT}",
        CHANGEABLE,
    ),
    "a foreign directory bound over its own": (
        f"mkdir /tmp/admission; cp {CAT} /tmp/admission; chown {USER} /tmp/admission;"
        f"mount --bind /tmp/admission {HERE}",
        CHANGEABLE,
    ),
    "a foreign file hard-linked into /trusted": (
        f"cp {CAT} /opt/cat; chown {USER} /opt/cat; ln -f /opt/cat {CAT}; rm /opt/cat",
        CHANGEABLE,
    ),
    "an overlay over its directory": (
        f"mkdir -p /tmp/admission; mount -t tmpfs -o mode=755 tmpfs /tmp/admission; cd /tmp/admission;"
        f"mkdir lower upper work; cp {CAT} lower; chown {USER} lower;"
        f"mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work overlay {HERE}",
        INDIRECT,
    ),
    "writable by an access control list": (
        set_attribute("system.posix_acl_access", access_control_list()),
        CHANGEABLE,
    ),
    "an idmapped mount over its directory": (
        f"mount --bind -o X-mount.idmap=b:0:{USER}:1 {HERE} {HERE}",
        INDIRECT,
    ),
}


@pytest.mark.parametrize("attack", FILES)
def test_a_file_that_is_not_roots_alone_stays_in_user_mode(guest: SshHost, attack: str) -> None:
    script, why = FILES[attack]
    text = shell(guest, f"{CAT} {STATUS}; {script}; {CAT} {STATUS}")
    assert kernel_modes(text) == [True, False]
    assert why is None or len(refusals(guest, why)) == 1


def test_directories_above_count_up_to_the_root(guest: SshHost) -> None:
    deep = f"{HERE}/one/two/cat"
    script = f"mkdir -p {HERE}/one/two; cp {CAT} {deep}; {deep} {STATUS};"
    for directory in (f"{HERE}/one", "/trusted", "/"):
        script += f"chmod o+w {directory}; {deep} {STATUS}; chmod o-w {directory};"
    text = shell(guest, f"{script} {deep} {STATUS}")
    assert kernel_modes(text) == [True, False, False, False, True]


@pytest.mark.parametrize(
    ("script", "name"),
    [
        (f"ln -s {CAT} /tmp/admission", "/tmp/admission"),
        (f"ln {CAT} {HERE}/link", f"{HERE}/link"),
        (f"mkdir {HERE}/mount; mount --bind {HERE} {HERE}/mount", f"{HERE}/mount/cat"),
        (
            f"mkdir {HERE}/mount; mount -t tmpfs -o mode=755 tmpfs {HERE}/mount; cp {CAT} {HERE}/mount",
            f"{HERE}/mount/cat",
        ),
    ],
)
def test_roots_own_links_and_mounts_below_trusted_are_allowed(guest: SshHost, script: str, name: str) -> None:
    shell(guest, script)
    assert kernel_mode(guest, name, STATUS)


def test_a_hard_link_elsewhere_is_not_below_trusted(guest: SshHost) -> None:
    shell(guest, f"ln {CAT} /usr/bin/admission-cat")
    assert not kernel_mode(guest, "/usr/bin/admission-cat", STATUS)
    shell(guest, "rm /usr/bin/admission-cat")


def test_a_linked_trusted_directory_is_none(guest: SshHost) -> None:
    try:
        shell(guest, "mv /trusted /elsewhere; ln -s /elsewhere /trusted")
        assert not kernel_mode(guest, CAT, STATUS)
        assert "/trusted is not a directory" in check(guest, "dmesg")
    finally:
        shell(guest, "rm /trusted; mv /elsewhere /trusted")
    assert kernel_mode(guest, CAT, STATUS)


def test_a_noexec_mount_runs_nothing(guest: SshHost) -> None:
    shell(guest, f"mount -t tmpfs -o mode=755,noexec tmpfs {HERE}; cp /bin/cat {CAT}")
    assert "Permission denied" in run(guest, CAT, STATUS).stderr


def test_capabilities_of_a_file_keep_it_in_user_mode(guest: SshHost) -> None:
    # Version 2, effective, cap_net_raw permitted.
    capabilities = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
    shell(guest, f"mount -t tmpfs -o mode=755 tmpfs {HERE}; cp /bin/cat {CAT}")
    assert kernel_mode(guest, *as_user(), CAT, STATUS)
    shell(guest, set_attribute("security.capability", capabilities))
    text = check(guest, *as_user(), CAT, STATUS)
    assert "KernelMode:\t0" in text
    assert "CapPrm:\t0000000000002000" in text
    assert len(refusals(guest, CREDENTIALS)) == 1


def test_an_exec_that_takes_on_the_effective_user_stays_in_user_mode(guest: SshHost) -> None:
    assert not kernel_mode(guest, "setpriv", f"--ruid={USER}", "--euid=0", CAT, STATUS)


NAMESPACES = {
    "mount": (("unshare", "--mount"), "not in the initial mount namespace"),
    "user": (("unshare", "--user", "--map-root-user"), "not in the initial user namespace"),
    "user, of an ordinary user": ((*as_user(), "unshare", "--user"), "not in the initial user namespace"),
    "user and mount": (("unshare", "--user", "--map-root-user", "--mount"), "initial mount namespace"),
    "no_new_privs": (("setpriv", "--no-new-privs"), "the process has no_new_privs set"),
    "chroot": (("chroot", "/tmp/admission"), "the process is in a chroot"),
}


@pytest.mark.parametrize("confinement", NAMESPACES)
def test_a_confined_process_stays_in_user_mode(guest: SshHost, confinement: str) -> None:
    argv, why = NAMESPACES[confinement]
    shell(guest, MAKE_ROOT)
    assert kernel_mode(guest, CAT, STATUS)
    assert not kernel_mode(guest, *argv, CAT, STATUS)
    assert len(refusals(guest, why)) == 1


def test_other_namespaces_and_a_chroot_to_the_root_are_no_confinement(guest: SshHost) -> None:
    assert kernel_mode(guest, "unshare", "--net", "--uts", CAT, STATUS)
    assert kernel_mode(guest, "chroot", "/", CAT, STATUS)


def test_a_kernel_mode_process_that_confines_itself_execs_to_user_mode(guest: SshHost) -> None:
    shell(guest, f"cp /usr/bin/unshare /usr/bin/setpriv {HERE}")
    assert kernel_mode(guest, f"{HERE}/unshare", "--net", CAT, STATUS)
    assert not kernel_mode(guest, f"{HERE}/unshare", "--mount", CAT, STATUS)
    assert not kernel_mode(guest, f"{HERE}/unshare", "--user", CAT, STATUS)
    # Nothing is gained here: it runs in kernel mode already.
    assert kernel_mode(guest, f"{HERE}/setpriv", "--no-new-privs", CAT, STATUS)


def test_a_private_trusted_directory_is_another(guest: SshHost) -> None:
    script = f"mount --bind /usr/bin /trusted; exec /trusted/cat {STATUS}"
    assert not kernel_mode(guest, "unshare", "--mount", "sh", "-euc", script)


def test_the_root_of_a_process_in_another_namespace_is_not_ours(guest: SshHost) -> None:
    script = (
        f"unshare --mount sleep 100 & process=$!;"
        f"until [ $(readlink /proc/$process/ns/mnt) != $(readlink /proc/self/ns/mnt) ]; do :; done;"
        f"/proc/$process/root{CAT} {STATUS}; kill $process"
    )
    assert not kernel_mode(guest, "sh", "-euc", script)
    assert kernel_mode(guest, f"/proc/self/root{CAT}", STATUS)


def test_trusted_by_another_mount_is_not_trusted(guest: SshHost) -> None:
    shell(guest, "mkdir /tmp/admission; mount --bind /trusted /tmp/admission")
    assert not kernel_mode(guest, "/tmp/admission/admission/cat", STATUS)
    assert len(refusals(guest, "it was not reached through /trusted")) == 1


WAYS = {
    ("by-descriptor",): True,
    ("by-path-descriptor",): True,
    ("from-memory",): False,
    ("after-deletion",): False,
    ("from-detached-mount",): False,
    ("into-chroot", "/tmp/admission"): False,
    ("into-mount-namespace",): False,
    ("into-user-namespace",): False,
}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way[0])
def test_a_descriptor_stands_for_the_file_it_was_opened_by(guest: SshHost, way: tuple[str, ...]) -> None:
    shell(guest, MAKE_ROOT)
    assert kernel_mode(guest, ENTER, *way, CAT, STATUS) == WAYS[way]


def test_a_copy_outside_is_an_ordinary_program_by_every_way(guest: SshHost) -> None:
    assert not kernel_mode(guest, ENTER, "by-descriptor", "/bin/cat", STATUS)
    assert not kernel_mode(guest, ENTER, "by-path-descriptor", "/bin/cat", STATUS)


@pytest.mark.parametrize("way", ["while-open-for-writing", "while-mapped-for-writing"])
def test_a_file_that_somebody_can_still_write_does_not_start(guest: SshHost, way: str) -> None:
    result = run(guest, ENTER, way, CAT, STATUS)
    assert result.returncode == REFUSED
    assert "Text file busy" in result.stderr


def test_a_running_program_cannot_be_written_and_a_new_file_is_judged_anew(guest: SshHost) -> None:
    shell(guest, f"cp /bin/sleep {HERE}/sleep; cp /bin/sleep {HERE}/new; chown {USER} {HERE}/new")
    process = shell(guest, f"{HERE}/sleep 100 >/dev/null 2>&1 & echo $!").strip()
    try:
        assert "Text file busy" in run(guest, "sh", "-c", f"echo >> {HERE}/sleep").stderr
        shell(guest, f"mv {HERE}/new {HERE}/sleep")
        assert kernel_mode(guest, "cat", f"/proc/{process}/status")
        assert "(deleted)" in check(guest, "readlink", f"/proc/{process}/exe")
        anew = shell(guest, f"{HERE}/sleep 100 >/dev/null 2>&1 & echo $!").strip()
        assert not kernel_mode(guest, "cat", f"/proc/{anew}/status")
        check(guest, "kill", anew)
    finally:
        check(guest, "kill", process)


def test_proc_self_exe_is_the_file_itself(guest: SshHost) -> None:
    shell(guest, f"cp /bin/bash {HERE}/bash")
    ask = f"exec /proc/self/exe -c 'while read -r line; do echo \"$line\"; done < {STATUS}'"
    for shell_path, expected in ((f"{HERE}/bash", "1"), ("/bin/bash", "0")):
        lines = check(guest, shell_path, "-c", ask).splitlines()
        assert [line.split()[1] for line in lines if line.startswith("KernelMode:")] == [expected]
    ask = f"rm {HERE}/bash; {ask}"
    assert "KernelMode:\t0" in check(guest, f"{HERE}/bash", "-c", ask)


@pytest.mark.parametrize(
    ("place", "interpreter", "expected"),
    [
        (HERE, "/bin/cat", False),
        (HERE, CAT, True),
        ("/tmp", CAT, True),
        ("/tmp", "/bin/cat", False),
    ],
)
def test_for_a_script_the_interpreter_counts(
    guest: SshHost, place: str, interpreter: str, expected: bool
) -> None:
    script = f"{place}/script"
    shell(guest, f"printf '#!{interpreter} {STATUS}\\n' > {script}; chmod 755 {script}")
    assert kernel_mode(guest, script) == expected
    shell(guest, f"rm {script}")


@pytest.mark.parametrize(
    ("place", "interpreter", "expected"),
    [(HERE, "/bin/cat", False), (HERE, CAT, True), ("/tmp", CAT, True)],
)
def test_for_binfmt_misc_the_interpreter_counts(
    guest: SshHost, place: str, interpreter: str, expected: bool
) -> None:
    formats = "/proc/sys/fs/binfmt_misc"
    file = f"{place}/file.admission"
    shell(
        guest,
        f"""
        [ -e {formats}/register ] || mount -t binfmt_misc binfmt_misc {formats}
        echo ':admission:E::admission::{interpreter}:' > {formats}/register
        echo KernelMode is in another file > {file}; chmod 755 {file}
        """,
    )
    try:
        assert kernel_mode(guest, file, STATUS) == expected
    finally:
        shell(guest, f"echo -1 > {formats}/admission; rm {file}")


def elf_with_interpreter(path: str, interpreter: str) -> str:
    """A command that names another ELF interpreter in a copy of cat, in place of the longer one."""
    return (
        f'python3 -c \'import sys; b = open("{CAT}", "rb").read(); old = b"/lib64/ld-linux-x86-64.so.2";'
        f'new = b"{interpreter}".ljust(len(old), b"\\0"); assert b.count(old) == 1;'
        f'open("{path}", "wb").write(b.replace(old, new))\'; chmod 755 {path}'
    )


def test_the_elf_interpreter_is_part_of_the_program(guest: SshHost) -> None:
    mine, loader = f"{HERE}/mine", "/opt/ld.so"
    shell(guest, f"cp /lib64/ld-linux-x86-64.so.2 {loader}; {elf_with_interpreter(mine, loader)}")
    assert kernel_mode(guest, mine, STATUS)
    shell(guest, f"chmod o+w {loader}")
    assert not kernel_mode(guest, mine, STATUS)
    assert len(refusals(guest, "or that is on a mount that the program must not be on")) == 1
    shell(guest, f"chmod o-w {loader}; chown {USER} /opt")
    assert not kernel_mode(guest, mine, STATUS)
    shell(guest, f"chown 0 /opt; rm {loader}")


@pytest.mark.parametrize("machine", [3, 62], ids=["i386", "x32"])
def test_a_32_bit_program_does_not_start(guest: SshHost, machine: int) -> None:
    header = struct.pack(
        "<16sHHIIIIIHHHHHH", b"\x7fELF\1\1\1", 2, machine, 1, 0x8048054, 52, 0, 0, 52, 32, 1, 0, 0, 0
    )
    segment = struct.pack("<IIIIIIII", 1, 0, 0x8048000, 0x8048000, 4096, 4096, 5, 4096)
    image = (header + segment).ljust(4096, b"\xf4")
    write = f"import sys; open('{HERE}/elf32', 'wb').write(sys.stdin.buffer.read())"
    guest.run(("python3", "-c", write), timeout_s=TIMEOUT_S, stdin=image)
    shell(guest, f"chmod 755 {HERE}/elf32")
    assert "Exec format error" in run(guest, ENTER, "by-descriptor", f"{HERE}/elf32").stderr


def test_whoever_may_execute_it_may_load_code_into_it(guest: SshHost) -> None:
    """As the manual says: no check can tell the caller's code from the program's."""
    argv = (*as_user(), "env", "LD_PRELOAD=/usr/lib/kmlbench/preload.so")
    assert check(guest, *argv, CAT, "/dev/null") == "preloaded at CPL 0\n"
    assert check(guest, *argv, "/bin/cat", "/dev/null") == "preloaded at CPL 3\n"


@pytest.fixture
def without_yama(guest: SshHost) -> Iterator[None]:
    """Yama would refuse every tracer that is no ancestor; the rule has to hold without it."""
    switch = "/proc/sys/kernel/yama/ptrace_scope"
    before = check(guest, "cat", switch).strip()
    shell(guest, f"echo 0 > {switch}")
    yield
    shell(guest, f"echo {before} > {switch}")


# Becomes USER for good, and says so.
DROPS_PRIVILEGES = (
    f"import os, time; os.setresgid(*[{USER}] * 3); os.setresuid(*[{USER}] * 3); time.sleep(100)"
)


@pytest.mark.usefixtures("without_yama")
@pytest.mark.parametrize("reach", ["attach", "write-memory"])
def test_who_may_reach_into_a_kernel_mode_process(guest: SshHost, reach: str) -> None:
    shell(guest, f"cp /bin/sleep {HERE}/sleep")
    process = shell(guest, f"{' '.join(as_user())} {HERE}/sleep 100 >/dev/null 2>&1 & echo $!").strip()
    shell(guest, f"until grep -q KernelMode:.1 /proc/{process}/status; do :; done")
    # USER may execute it, so USER may as well debug it; nobody else but root may.
    assert run(guest, *as_user(), ENTER, reach, process).returncode == 0
    assert run(guest, *as_user(OTHER), ENTER, reach, process).returncode == REFUSED
    confined = ("unshare", "--user", "--map-root-user")
    assert run(guest, *as_user(), *confined, ENTER, reach, process).returncode == REFUSED
    check(guest, "kill", process)


@pytest.mark.usefixtures("without_yama")
@pytest.mark.parametrize("reach", ["attach", "write-memory"])
def test_nobody_reaches_into_a_process_that_root_started_for_them(guest: SshHost, reach: str) -> None:
    process = shell(guest, f"/trusted/bin/python3 -c '{DROPS_PRIVILEGES}' >/dev/null 2>&1 & echo $!").strip()
    shell(guest, f"until grep -q Uid:.{USER} /proc/{process}/status; do :; done")
    assert kernel_mode(guest, "cat", f"/proc/{process}/status")
    assert run(guest, *as_user(), ENTER, reach, process).returncode == REFUSED
    assert run(guest, ENTER, reach, process).returncode == 0
    check(guest, "kill", process)


def test_a_kernel_mode_process_dumps_core_like_any_other(guest: SshHost) -> None:
    shell(guest, "mkdir -m 1777 /tmp/admission")
    die = "cd /tmp/admission; ulimit -c unlimited; kill -SEGV $$"
    assert run(guest, *as_user(), "/trusted/bin/bash", "-c", die).returncode != 0
    (core,) = check(guest, "find", "/tmp/admission", "-name", "core*").split()
    assert check(guest, "stat", "--format=%U %a", core).split() in (["UNKNOWN", "600"], [str(USER), "600"])
    assert "signal SIGSEGV" in check(guest, "gdb", "-batch", "-nx", "/trusted/bin/bash", core)


def test_each_kind_of_refusal_is_logged_once(guest: SshHost) -> None:
    for _ in range(3):
        shell(guest, f"chmod 777 {CAT}; {CAT} {STATUS}; chmod 4755 {CAT}; {CAT} {STATUS}")
    lines = [line for line in check(guest, "dmesg").splitlines() if "stays in user mode" in line]
    reasons = [line.rpartition("stays in user mode: ")[2] for line in lines]
    assert {CHANGEABLE, CREDENTIALS} <= set(reasons)
    assert len(reasons) == len(set(reasons))
