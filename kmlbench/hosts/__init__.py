# SPDX-License-Identifier: MIT
"""The hosts that the suite works on. Besides kmlbench.process, the only place for processes and SSH."""
