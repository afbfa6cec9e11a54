# SPDX-License-Identifier: MIT
"""hosts.yaml as frozen data."""
