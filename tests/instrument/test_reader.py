# SPDX-License-Identifier: MIT
"""Tests of the reader: sums, names, and that no input makes it raise anything but FormatError."""

from __future__ import annotations

import ctypes
import gzip
import io
import random
from contextlib import suppress
from pathlib import Path

import pytest

from kmlbench.cli.main import main
from kmlbench.errors import InputError
from kmlbench.instrument.maps import mapping_at, parse_maps
from kmlbench.instrument.naming import Guest, Naming
from kmlbench.instrument.profile import census, profile
from kmlbench.instrument.reader import read, read_file
from kmlbench.instrument.recording import FormatError, Recording
from kmlbench.instrument.symbols import elf_symbols, kernel_symbols

SERVER, CLIENT, KTHREAD = 0xFFFF888001000000, 0xFFFF888002000000, 0xFFFF888003000000
KERNEL = 0xFFFFFFFF9A200000
HEAD = b"kmlbench-windows 1\nqemu 1 1\ncostly syscall sysret swapgs\nsection 0\n"
WINDOW = f"""\
begin 0 2 7 0 {CLIENT:x}
b 3 {KERNEL:x} 13 1:1,3:2
b 4 {KERNEL + 0x1E:x} 222 -
b 5 401000 5f -
b 6 7f0000001000 1 -
c {CLIENT:x} 3 10 5 4
c {SERVER:x} 3 5 4 1 6 100
c {KTHREAD:x} 4 2
end 0 147 12 mark
""".encode()
RECORDING = HEAD + WINDOW + b"exit\n"
TOTAL = 10 * 2 + 4 * 2 + 5 * 2 + 3 + 100 + 2 * 3
SYSTEM_MAP = """\
0000000000000000 A fixed_percpu_data
ffffffff81000000 T _text
ffffffff81000000 T entry
ffffffff81000020 t body
ffffffff81000040 D datum
ffffffff81001000 B _end
"""
CLIENT_MAPS = """\
00400000-00401000 r--p 00000000 00:02 5                                  /usr/bin/client
00401000-0048c000 r-xp 00001000 00:02 5                                  /usr/bin/client
7ffdd1683000-7ffdd16a4000 rw-p 00000000 00:00 0                          [stack]
"""
SERVER_MAPS = "7f0000000000-7f0000002000 r-xp 00000000 00:02 6 /usr/sbin/the server\n"


def parsed(data: bytes) -> Recording:
    return read(io.BytesIO(data))


def guest() -> Guest:
    return Guest(
        kernel=kernel_symbols(SYSTEM_MAP, text=KERNEL),
        maps={"client": parse_maps(CLIENT_MAPS), "server": parse_maps(SERVER_MAPS)},
    )


class TestSums:
    def setup_method(self) -> None:
        self.window = parsed(RECORDING).windows[0]
        self.naming = Naming(guest())
        self.processes = self.naming.processes([self.window])

    def test_head_and_window(self) -> None:
        recording = parsed(RECORDING)
        assert recording.ended
        assert (recording.api, recording.cpus, len(recording.windows)) == (1, 1, 1)
        window = self.window
        assert (window.kind, window.number, window.total, window.switches) == (2, 7, TOTAL, 12)
        assert window.complete

    def test_tasks_become_processes(self) -> None:
        assert self.processes == {CLIENT: "client", SERVER: "server", KTHREAD: "other"}

    def test_rows_add_up_and_blocks_are_split(self) -> None:
        rows = profile(self.window, self.naming, self.processes)
        assert sum(row.instructions for row in rows) == TOTAL
        result = {(row.process, row.side, row.function): row.instructions for row in rows}
        assert result["client", "kernel", "entry"] == 20
        # One of block 4's instructions is before `body`.
        assert result["other", "kernel", "entry"] == 2
        assert result["other", "kernel", "body"] == 4
        assert result["client", "user", "[unknown]"] == 8

    def test_census(self) -> None:
        counts = census(self.window, self.processes)
        assert counts["client", "kernel", "syscall"] == 10
        assert counts["server", "kernel", "swapgs"] == 10

    def test_nobody_is_guessed_before_the_first_switch(self) -> None:
        windows = parsed(RECORDING.replace(f"{CLIENT:x}".encode(), b"0")).windows
        assert Naming(guest()).processes(windows)[0] == "other"

    def test_processes_that_cannot_be_told_apart(self) -> None:
        maps = parse_maps(CLIENT_MAPS)
        with pytest.raises(FormatError, match="told apart"):
            Naming(Guest(maps={"a": maps, "b": maps})).processes([self.window])

    def test_addresses_past_the_kernel(self) -> None:
        symbols = guest().kernel
        assert symbols is not None
        assert symbols.at(KERNEL + 4095) == "body"
        assert symbols.at(KERNEL + 4096) is None
        assert symbols.at(KERNEL - 1) is None


class TestElf:
    def test_a_function_of_this_process(self) -> None:
        address = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p).value
        assert address is not None
        mapping = mapping_at(parse_maps(Path("/proc/self/maps").read_text()), address)
        assert mapping is not None
        symbols = elf_symbols(Path(mapping.path).read_bytes(), name=mapping.path)
        assert symbols.at(address - mapping.start + mapping.offset) in {"getpid", "__getpid"}

    def test_damage(self) -> None:
        data = Path("/bin/true").resolve().read_bytes()
        choice = random.Random(1)
        for _ in range(300):
            damaged = bytearray(data)
            for _ in range(choice.randint(1, 20)):
                damaged[choice.randrange(choice.choice([64, len(data)]))] = choice.randrange(256)
            with suppress(FormatError):
                elf_symbols(bytes(damaged[: choice.randint(0, 2 * len(data))]))


class TestMalformed:
    def refused(self, data: bytes, message: str) -> None:
        with pytest.raises(FormatError, match=message):
            parsed(data)

    def test_it_may_end_anywhere_after_the_head(self) -> None:
        for length in range(len(HEAD), len(RECORDING)):
            recording = parsed(RECORDING[:length])
            assert not recording.ended
            assert recording.torn == (RECORDING[length - 1 : length] != b"\n")
            assert all(not w.complete for w in recording.windows if length < len(HEAD + WINDOW))

    def test_a_head_that_ends_early(self) -> None:
        for length in range(HEAD.index(b"section")):
            self.refused(HEAD[:length], "line [0-3]: ")

    def test_another_version(self) -> None:
        self.refused(RECORDING.replace(b"windows 1", b"windows 2"), "line 1: not 'kmlbench-windows 1'")

    def test_each_record_says_what_is_wrong(self) -> None:
        cases = {
            b"nonsense 1\n": "no such record",
            b"\n": "an empty word",
            b"b  1\n": "an empty word",
            b"\xff\n": "not ASCII",
            b"section\n": "0 words instead of 1",
            b"section -1\n": "not a decimal",
            b"section 1_0\n": "not a decimal",
            b"begin 0 2 7 0 g\n": "not a hexadecimal",
            b"begin 0 2 7 0 1\nbegin 0 2 7 0 1\n": "a window begins within a window",
            b"begin 0 2 7 0 1\nsection 1\n": "a section begins within a window",
            b"begin 0 2 7 0 1\nlost\n": "lost instructions",
            b"begin 0 2 7 0 1\nend 1 0 0 mark\n": "window 0 has the end of 1",
            b"begin 0 2 7 0 1\nend 0 0 0 luck\n": "no such cause",
            b"begin 0 2 7 0 1\nend 0 1 0 mark\n": "the parts are 0 instructions, the total is 1",
            b"end 0 0 0 mark\n": "the end of no window",
            b"b 1 1 1\n": "four or five words",
            b"b 1 1 10 -\n": "without length",
            b"b 1 1 1 9:1\n": "no such class",
            b"b 1 1 1 1\n": "1 words instead of 2",
            b"b 1 1 1 - 9090\n": "the code is not as long",
            b"b 1 1 1 - zz\n": "not hexadecimal",
            b"b 1 1 1 -\nb 1 1 1 -\n": "was defined before",
            b"c 1 1 1\n": "outside of a window",
            b"begin 0 2 7 0 1\nc 1 1\n": "pairs",
            b"begin 0 2 7 0 1\nc 1 1 1\n": "not defined",
            b"exit\nexit\n": "follows the end",
        }
        for record, message in cases.items():
            self.refused(HEAD + record, message)

    def test_random_damage(self) -> None:
        choice = random.Random(2)
        for _ in range(5000):
            damaged = bytearray(RECORDING)
            for _ in range(choice.randint(1, 8)):
                at = choice.randrange(len(damaged))
                what = choice.randrange(3)
                if what == 0:
                    damaged[at] = choice.choice(b"0123456789abcdef :-,\n\x00\xff")
                elif what == 1:
                    del damaged[at]
                else:
                    damaged[at:at] = damaged[: choice.randrange(20)]
            with suppress(FormatError):
                parsed(bytes(damaged))

    def test_maps_and_symbols(self) -> None:
        for text in ("nonsense\n", "1-2\n", "x-y r-xp 0 0 0\n"):
            with pytest.raises(FormatError, match="maps, line 1"):
                parse_maps(text)
        for text in ("nonsense\n", "xyz T name\n", "0 T _text\n"):
            with pytest.raises(FormatError, match=r"System\.map"):
                kernel_symbols(text, text=0)


class TestCommandLine:
    def test_compressed_and_broken_files(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "windows.gz"
        path.write_bytes(gzip.compress(RECORDING))
        assert read_file(path).windows[0].total == TOTAL
        assert main(["windows", str(path)]) == 0
        assert f"{TOTAL:,}.000 instructions, 12 switches" in capsys.readouterr().out
        path.write_bytes(gzip.compress(RECORDING)[:-9])
        assert main(["windows", str(path)]) == InputError.exit_code
        assert str(path) in capsys.readouterr().err
