# SPDX-License-Identifier: MIT
"""The machines that the suite works on. Beside kmlbench.commands, the only home of processes and SSH."""
