# SPDX-License-Identifier: MIT
"""What is shown while something runs."""
