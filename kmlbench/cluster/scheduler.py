# SPDX-License-Identifier: MIT
"""What is known of Dask and of a scheduler before Dask is imported."""

from __future__ import annotations

import ipaddress
import logging
import re
from importlib.util import find_spec

from kmlbench import paths
from kmlbench.errors import MachineError

# What a worker of ours has, and no other worker of a Dask cluster: a job needs one.
RESOURCE = "kmlbench"

CONNECT_S = 60.0


def require_dask() -> None:
    """Raises MachineError where dask.distributed is not installed."""
    if find_spec("distributed") is None:
        how = "run `make setup`" if paths.IN_CHECKOUT else "pip install 'kmlbench[cluster]'"
        raise MachineError(
            "a cluster needs dask.distributed, which is not installed here",
            remedy=f"{how}, on the controller and on each worker",
        )


def quiet() -> None:
    """Have Dask report nothing: what happens to workers is ours to say."""
    for name in ("distributed", "tornado.application"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def is_exposed(address: str) -> bool:
    """Whether others can read and send what goes there: it is another machine, and there is no TLS."""
    host = re.sub(r"^[a-z]+://|:[0-9]+$", "", address).strip("[]")
    try:
        near = ipaddress.ip_address(host).is_loopback
    except ValueError:
        near = host == "localhost"
    return not near and not address.startswith("tls://")
