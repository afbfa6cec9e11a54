# SPDX-License-Identifier: MIT
"""The two commands: the only place that prints or exits."""
