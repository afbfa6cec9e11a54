# SPDX-License-Identifier: MIT
"""A campaign on many machines: blocks are tasks of a Dask cluster, and this machine keeps the record."""
