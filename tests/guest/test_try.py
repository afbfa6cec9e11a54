# SPDX-License-Identifier: MIT
"""`kmlbench try` from a command line to its answer, on guests: whole campaigns, of one block."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.controllers import guests
from support.programs import compiled

import kmlbench
from kmlbench.cli.main import main
from kmlbench.errors import TrialError
from kmlbench.plan.comparisons import KML_TRUSTED
from kmlbench.results import reader

pytestmark = [pytest.mark.guest, pytest.mark.soak]

WORKS = """
#include <stdio.h>
#include <unistd.h>
int main(void) { for (int i = 0; i < 2000; i++) getppid(); return puts("works") < 0; }
"""
# In kernel mode its code segment is the kernel's.
DIFFERS = """
#include <stdio.h>
int main(void)
{
    unsigned int cs;
    __asm__("mov %%cs, %0" : "=r"(cs));
    printf("CPL %u\\n", cs & 3);
    return cs & 3;
}
"""
PRINTS = """
#include <string.h>
#include <unistd.h>
int main(void)
{
    static char text[1 << 20];
    memset(text, 'x', sizeof(text));
    for (int i = 0; i < 100; i++)
        if (write(1, text, sizeof(text)) != sizeof(text))
            return 1;
    return 0;
}
"""
SERVES = """
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int listening = socket(AF_UNIX, SOCK_STREAM, 0), one;
    char byte;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", argv[argc - 1]);
    bind(listening, (struct sockaddr *)&address, sizeof(address));
    listen(listening, 8);
    puts("serving");
    fflush(stdout);
    while ((one = accept(listening, NULL, NULL)) >= 0) {
        while (read(one, &byte, 1) == 1 && write(one, &byte, 1) == 1)
            ;
        close(one);
    }
    return 1;
}
"""
ASKS = """
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int one = socket(AF_UNIX, SOCK_STREAM, 0), answers = 0;
    char byte = 'x';
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", argv[argc - 1]);
    if (connect(one, (struct sockaddr *)&address, sizeof(address)))
        return 1;
    for (int i = 0; i < 500; i++)
        answers += write(one, &byte, 1) == 1 && read(one, &byte, 1) == 1;
    return printf("%d answers\\n", answers) < 0;
}
"""


def tried(root: Path, *words: str) -> int:
    code = main(["try", "--blocks", "1", "--rounds", "2", "--results", str(root / "results"), *words])
    assert guests(root) == []
    return code


def test_a_program_that_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = compiled(tmp_path / "works", source=WORKS)
    assert tried(tmp_path, "--", str(program)) == 0
    said = capsys.readouterr().out
    assert said.startswith(
        "Works: the same in all four cells: exit status 0, standard output, standard error, "
    )
    share = re.search(r"System calls of the client from /trusted: ([0-9.]+)% direct", said)
    assert share is not None
    assert float(share[1]) > 90
    assert re.search(r"^  in the kernel .* −[1-9]", said, re.MULTILINE)
    assert "From where, the functions that changed most:" in said
    assert "works: undecided" in said  # one block has no interval
    campaign = tmp_path / "results/latest"
    assert main(["verify", str(campaign)]) == 0
    frame = kmlbench.load(campaign)
    assert set(frame[frame.metric == "instructions"].workload) == {"works"}
    profile = kmlbench.profile(campaign)
    assert "main" in set(profile[profile["object"] == "works"]["function"])
    proofs = {done.trial.variant: done.proof for done in reader.read_campaign(campaign).completed}
    assert {cell for cell, proof in proofs.items() if proof.client_kernel_mode} == {KML_TRUSTED}


def test_a_program_that_differs_is_an_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = compiled(tmp_path / "differs", "-static", source=DIFFERS)
    assert tried(tmp_path, "--", str(program)) == 0
    said = capsys.readouterr().out
    assert said.startswith("Differs: from stock:/usr it ends with exit status 3.\n")
    assert "kml:/trusted: ended with exit status 0, not exit status 3" in said
    assert "kml:/trusted: printed something else on standard output: 'CPL 0' in line 1, not 'CPL 3'" in said
    assert "kml:/usr:" not in said


def test_a_server_and_a_client_by_musl(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server = compiled(tmp_path / "serves", source=SERVES, compiler="musl-gcc")
    client = compiled(tmp_path / "asks", source=ASKS, compiler="musl-gcc")
    words = ("--server", f"{server} {{socket}}", "--ready", "^serving$", "--", str(client), "{socket}")
    assert tried(tmp_path, *words) == 0
    said = capsys.readouterr().out
    assert said.startswith("Works: ")
    assert "System calls of the server from /trusted:" in said


def test_a_program_that_prints_100_mb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = compiled(tmp_path / "prints", source=PRINTS)
    assert tried(tmp_path, "--", str(program)) == 0
    assert capsys.readouterr().out.startswith("Works: ")


def test_a_server_that_is_never_ready_ends_the_campaign(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--server", "guest:sleep 600", "--ready", "never", "--", "guest:true")
    assert tried(tmp_path, *words) == TrialError.exit_code
    said = capsys.readouterr().err
    assert "has printed nothing that 'never' matches after 60 s" in said
    assert "remedy: see that the server stays in the foreground" in said
    stored = reader.read_campaign(tmp_path / "results/latest")
    assert len(stored.failed) <= 2
    assert stored.completed == ()
