# SPDX-License-Identifier: MIT
"""Where the tests of the instrument find what was built for them."""

BUILT = "KMLBENCH_INSTRUMENT"
