# SPDX-License-Identifier: MIT
"""Displays of progress."""
