# SPDX-License-Identifier: MIT
"""What `import kmlbench` offers: stored campaigns as frames and figures."""
