# SPDX-License-Identifier: MIT
"""Building kernels and guest images, once each, into a cache keyed by content."""
