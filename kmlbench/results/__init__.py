# SPDX-License-Identifier: MIT
"""The record of a campaign on disk."""
