# SPDX-License-Identifier: MIT
"""Running a campaign."""
