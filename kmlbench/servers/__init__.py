# SPDX-License-Identifier: MIT
"""The database servers."""
