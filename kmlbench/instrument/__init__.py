# SPDX-License-Identifier: MIT
"""Reads what the plugin of instrument/ recorded: instructions by process, side, function and census."""
