# SPDX-License-Identifier: MIT
"""What is installed on your machines, and removed again."""
