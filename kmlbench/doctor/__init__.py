# SPDX-License-Identifier: MIT
"""What is known about a machine and what that means for a result."""
