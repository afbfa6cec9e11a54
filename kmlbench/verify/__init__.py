# SPDX-License-Identifier: MIT
"""Every number a second time."""
