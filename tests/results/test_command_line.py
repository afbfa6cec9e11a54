# SPDX-License-Identifier: MIT
"""What two machines may differ in on their kernels' command lines, and how the rest is told."""

from __future__ import annotations

import pytest

from kmlbench.results.command_line import differing, shared_words

OAK = (
    "BOOT_IMAGE=/boot/vmlinuz-6.12 root=UUID=1-2 rootflags=subvol=@ ro initrd=\\i quiet resume=/dev/sda3 "
    "resume_offset=4096 rd.luks.uuid=luks-1 rd.lvm.lv=oak/root BOOTIF=01-52-54 systemd.machine_id=0a "
    'crashkernel=256M mitigations=auto dyndbg="file a.c +p"\n'
)
ELM = (
    "BOOT_IMAGE=(hd0,gpt2)/vmlinuz root=/dev/nvme0n1p2 rootfstype=ext4 rootwait ro quiet mitigations=auto "
    'dyndbg="file a.c +p"\n'
)


def test_what_belongs_to_one_machine_is_left_out() -> None:
    assert shared_words(OAK) == shared_words(ELM) == 'ro quiet mitigations=auto dyndbg="file a.c +p"'
    assert differing({"oak": OAK, "elm": ELM}) == ""


@pytest.mark.parametrize(
    "word", ["mitigations=off", "isolcpus=1", "rootless", "nord.x", "kernel_mode_linux=on"]
)
def test_what_may_bear_on_a_result_stays(word: str) -> None:
    assert shared_words(f"{OAK.strip()} {word}").endswith(f" {word}")
    text = differing({"oak": f"{OAK.strip()} {word}", "elm": ELM})
    assert text == f"oak alone has {word}"


def test_a_word_that_is_there_twice_and_another_order_are_differences() -> None:
    assert (
        differing({"oak": "console=a console=a quiet", "elm": "console=a"}) == "oak alone has console=a quiet"
    )
    text = differing({"oak": "console=a console=b", "elm": "console=b console=a"})
    assert (
        text
        == "oak has 'console=a console=b', and elm the same words in another order: 'console=b console=a'"
    )
