# SPDX-License-Identifier: MIT
"""The hosts of a campaign. Only this package and kmlbench.process start processes or connect over SSH."""
