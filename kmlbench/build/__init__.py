# SPDX-License-Identifier: MIT
"""Builds kernels and guest images, each once, into a cache that is keyed by content."""
