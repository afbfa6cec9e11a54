# SPDX-License-Identifier: MIT
"""Doing a campaign."""
