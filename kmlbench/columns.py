# SPDX-License-Identifier: MIT
"""Many samples in little memory: kinds of samples, and arrays of which kind with which value.

A million `Sample` objects take seconds to make and hundreds of megabytes to keep. A stored trial keeps its
samples in columns and makes the objects when somebody asks for them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from kmlbench.model import Process, Sample


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

    def having(self, metrics: Collection[str]) -> Samples:
        """Only the samples of these metrics."""
        wanted = [code for code, kind in enumerate(self.kinds) if kind.metric in metrics]
        kept = np.isin(self.codes, wanted)
        return Samples(self.kinds, self.codes[kept], self.values[kept])


def _kind(sample: Sample) -> Kind:
    return Kind(metric=sample.metric, unit=sample.unit, process=sample.process, driver=sample.driver)


def _sample(kind: Kind, value: float) -> Sample:
    return Sample(metric=kind.metric, unit=kind.unit, value=value, process=kind.process, driver=kind.driver)
