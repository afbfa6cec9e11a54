# SPDX-License-Identifier: MIT
"""The order of a campaign, the comparisons, and when it may end: pure."""
