# SPDX-License-Identifier: MIT
"""The samples in a line of outcomes.jsonl as columns. A kind of sample is judged once, a value always."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter

import numpy as np

from kmlbench import fields
from kmlbench.columns import Kind, Samples
from kmlbench.fields import LEAST_SIZE, MOST_SIZE, Record
from kmlbench.model import Process

_NAMES = itemgetter("metric", "unit", "process", "driver")
_VALUE = itemgetter("value")


class SampleReader(dict[tuple[object, ...], int]):
    """Reads the samples of many trials, which share their kinds. As a dictionary: the place of each kind."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds: list[Kind] = []

    def read(self, records: Sequence[Record]) -> Samples:
        """The samples in `records`. Raises ValueError that names the field."""
        try:
            codes = np.fromiter(map(self.__getitem__, map(_NAMES, records)), np.int32, len(records))
            values = _values(list(map(_VALUE, records)))
        except (KeyError, TypeError, OverflowError):
            _explain(records)
            raise
        if values is None:
            _explain(records)
        assert values is not None
        return Samples(self.kinds, codes, values)

    def __missing__(self, key: tuple[object, ...]) -> int:
        self.kinds.append(_kind(dict(zip(("metric", "unit", "process", "driver"), key, strict=True))))
        self[key] = len(self.kinds) - 1
        return self[key]


def _values(found: list[object]) -> np.ndarray[tuple[int], np.dtype[np.float64]] | None:
    """The values, or None if one of them is nothing that a measurement can give."""
    if not set(map(type, found)) <= {int, float}:
        return None
    values = np.array(found, dtype=np.float64)
    sizes = np.abs(values)
    sound = (values == 0) | ((sizes >= LEAST_SIZE) & (sizes <= MOST_SIZE))
    return values if sound.all() else None


def _explain(records: Sequence[Record]) -> None:
    """Raise ValueError that names the first field that is wrong."""
    for record in records:
        _kind(record)
        fields.measured(record, "value")


def _kind(record: Mapping[str, object]) -> Kind:
    return Kind(
        metric=fields.word(record, "metric"),
        unit=fields.text(record, "unit"),
        process=Process(fields.text(record, "process")),
        driver=fields.text(record, "driver"),
    )
