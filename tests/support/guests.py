# SPDX-License-Identifier: MIT
"""The processor of the tests' guests."""

from __future__ import annotations

# With ERMS and FSRM Linux and glibc copy by REP MOVSB, which QEMU executes byte by byte: without them MySQL
# starts in 8.4 s of CPU instead of 11.8. Campaigns and benchmarks run on `max`, and so does conformance.
PROCESSOR = "max,-erms,-fsrm"
