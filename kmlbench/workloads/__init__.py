# SPDX-License-Identifier: MIT
"""What is run and how its output is read; pure."""
