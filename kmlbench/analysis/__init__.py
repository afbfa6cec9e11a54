# SPDX-License-Identifier: MIT
"""From samples to effects and explanations."""
