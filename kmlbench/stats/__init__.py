# SPDX-License-Identifier: MIT
"""Intervals and how numbers are written."""
