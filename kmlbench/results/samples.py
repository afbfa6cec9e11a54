# SPDX-License-Identifier: MIT
"""Many samples in little memory: kinds of samples, and arrays of which kind with which value.

A million `Sample` objects take seconds to make and hundreds of megabytes to keep. A stored trial keeps its
samples in columns and makes the objects when somebody asks for them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import overload

import numpy as np
from numpy.typing import NDArray

from kmlbench.model import Process, Sample
from kmlbench.results import fields
from kmlbench.results.fields import LEAST_SIZE, MOST_SIZE, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A sample without its value."""

    metric: str
    unit: str
    process: Process
    driver: str


class Samples(Sequence[Sample]):
    """Samples as columns: `codes` are places in `kinds`, which trials of a campaign may share."""

    __slots__ = ("codes", "kinds", "values")

    def __init__(self, kinds: Sequence[Kind], codes: NDArray[np.int32], values: NDArray[np.float64]) -> None:
        self.kinds, self.codes, self.values = kinds, codes, values

    @classmethod
    def of(cls, samples: Iterable[Sample]) -> Samples:
        """The same samples, in columns."""
        if isinstance(samples, Samples):
            return samples
        listed = list(samples)
        places: dict[Kind, int] = {}
        codes = [places.setdefault(_kind(sample), len(places)) for sample in listed]
        values = [float(sample.value) for sample in listed]
        return cls(tuple(places), np.array(codes, dtype=np.int32), np.array(values, dtype=np.float64))

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Sample]:
        pairs = zip(self.codes.tolist(), self.values.tolist(), strict=True)
        return (_sample(self.kinds[code], value) for code, value in pairs)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Samples: ...
    def __getitem__(self, index: int | slice) -> Sample | Samples:
        if isinstance(index, slice):
            return Samples(self.kinds, self.codes[index], self.values[index])
        return _sample(self.kinds[int(self.codes[index])], float(self.values[index]))

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, Samples | tuple) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"Samples({list(self)!r})"

    @property
    def present(self) -> Sequence[Kind]:
        """The kinds that have samples here."""
        return [self.kinds[code] for code in np.unique(self.codes)]

    def having(self, metrics: Collection[str]) -> Samples:
        """Only the samples of these metrics."""
        wanted = [code for code, kind in enumerate(self.kinds) if kind.metric in metrics]
        kept = np.isin(self.codes, wanted)
        return Samples(self.kinds, self.codes[kept], self.values[kept])


def as_text(name: str) -> str:
    """A name in a record, in which bytes that are no text are shown as such: hosts name their programs."""
    return name.encode(errors="backslashreplace").decode()


def _kind(sample: Sample) -> Kind:
    return Kind(metric=sample.metric, unit=sample.unit, process=sample.process, driver=sample.driver)


def _sample(kind: Kind, value: float) -> Sample:
    return Sample(metric=kind.metric, unit=kind.unit, value=value, process=kind.process, driver=kind.driver)


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
        self.kinds.append(_read_kind(dict(zip(("metric", "unit", "process", "driver"), key, strict=True))))
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
        _read_kind(record)
        fields.measured(record, "value")


def _read_kind(record: Mapping[str, object]) -> Kind:
    return Kind(
        metric=fields.word(record, "metric"),
        unit=fields.text(record, "unit"),
        process=Process(fields.text(record, "process")),
        driver=fields.text(record, "driver"),
    )
