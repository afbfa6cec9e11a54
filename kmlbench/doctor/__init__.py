# SPDX-License-Identifier: MIT
"""What affects a result on a machine: questions, findings, remedies."""
