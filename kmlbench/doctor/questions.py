# SPDX-License-Identifier: MIT
"""Examines a machine, this one or a host, by one shell script that only reads."""

from __future__ import annotations

import re
from collections.abc import Mapping

from kmlbench import process
from kmlbench.hosts.base import require_success
from kmlbench.model import Host

TIMEOUT_S = 60.0

MOST_CHARACTERS = 2000

_LINE = re.compile(r"([a-z0-9_-]{1,60})=(.+)")

# One line per answer, `name=value`; unanswered questions have an empty value and are left out.
SCRIPT = r"""
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C
say() { name=$1; set -f; set -- $2; set +f; printf '%s=%s\n' "$name" "$*"; }
here() { cat "$@" 2>/dev/null; }
version() { command -v "$1" >/dev/null && say "version_$1" "$("$@" 2>&1 | head -n 1)"; }
ticks() {
    read -r _ user nice system idle wait rest < /proc/stat
    echo "$((user + nice + system)) $((idle + wait))"
}
before=$(ticks)
sleep 1
after=$(ticks)
say ticks "$before $after"
say release "$(uname -r)"
say command_line "$(here /proc/cmdline)"
say kml "$(here /proc/sys/kernel/kernel_mode_linux)"
say kml_log "$(dmesg 2>/dev/null | grep 'kml: ' | tail -n 1)"
for file in /sys/devices/system/cpu/vulnerabilities/*; do
    say "vulnerability_${file##*/}" "$(here "$file")"
done
say model "$(grep -m 1 '^model name' /proc/cpuinfo | cut -d: -f2)"
say hypervisor "$(grep -m 1 -o -w hypervisor /proc/cpuinfo)"
say processors "$(nproc)"
say governors "$(here /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor | sort -u)"
say no_turbo "$(here /sys/devices/system/cpu/intel_pstate/no_turbo)"
say boost "$(here /sys/devices/system/cpu/cpufreq/boost)"
say smt "$(here /sys/devices/system/cpu/smt/active)"
say swaps "$(tail -n +2 /proc/swaps | wc -l)"
say memory "$(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo)"
say busiest "$(ps -eo pcpu=,comm= --sort=-pcpu 2>/dev/null | grep -v ' ps$' | head -n 1)"
say clocksource "$(here /sys/devices/system/clocksource/clocksource0/current_clocksource)"
say synchronised "$(timedatectl show --property NTPSynchronized --value 2>/dev/null)"
say run_free "$(df --output=avail --block-size=1M /run 2>/dev/null | tail -n 1)"
say var_free "$(df --output=avail --block-size=1M /var/lib 2>/dev/null | tail -n 1)"
version python3 --version
version qemu-system-x86_64 --version
version ssh -V
version mysqld --version
version mariadbd --version
version sysbench --version
exit 0
"""

Answers = Mapping[str, str]


def ask_this_machine() -> Answers:
    """The answers of this machine."""
    return parse_answers(process.check(("sh", "-c", SCRIPT), timeout_s=TIMEOUT_S).stdout)


def ask_host(host: Host) -> Answers:
    """The answers of a host. Raises HostError."""
    result = host.run(("sh", "-c", SCRIPT), timeout_s=TIMEOUT_S)
    return parse_answers(require_success(host, result, "examining it").stdout)


def parse_answers(text: str) -> Answers:
    """The answers by name. Other lines are ignored: a host may print anything."""
    matches = [match for line in text.split("\n") if (match := _LINE.fullmatch(line))]
    stripped = {match[1]: match[2].strip()[:MOST_CHARACTERS] for match in matches}
    return {name: value for name, value in stripped.items() if value}
