# SPDX-License-Identifier: MIT
"""Runs campaigns."""
