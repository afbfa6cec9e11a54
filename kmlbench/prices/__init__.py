# SPDX-License-Identifier: MIT
"""What instructions and ways into the kernel cost on a processor: published, or measured on this machine."""
