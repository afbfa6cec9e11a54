# SPDX-License-Identifier: MIT
"""Deriving every number again, and comparing."""
