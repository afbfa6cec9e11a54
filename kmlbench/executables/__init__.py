# SPDX-License-Identifier: MIT
"""What programs of this machine need to run on another, read from their files without running them."""
