# SPDX-License-Identifier: MIT
"""Many samples in little memory: kinds of samples, and arrays of which kind with which value.

A million `Sample` objects take seconds to make and hundreds of megabytes to keep. A stored trial keeps its
samples in columns and makes the objects when somebody asks for them.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import overload

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from kmlbench.model import Process, Sample
from kmlbench.results.lines import WORD

# A number that a measurement can give is zero, or of such a size with either sign. What lies outside is
# damage, and its square or quotient may be no number at all.
LEAST_SIZE, MOST_SIZE = 1e-30, 1e30


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleKind:
    """A sample without its value."""

    metric: str
    unit: str
    process: Process
    driver: str


class Samples(Sequence[Sample]):
    """Samples as columns: `codes` are places in `kinds`, which trials of a campaign may share."""

    __slots__ = ("codes", "kinds", "values")

    def __init__(
        self, kinds: Sequence[SampleKind], codes: NDArray[np.int32], values: NDArray[np.float64]
    ) -> None:
        self.kinds, self.codes, self.values = kinds, codes, values

    @classmethod
    def of(cls, samples: Iterable[Sample]) -> Samples:
        """The same samples, in columns."""
        if isinstance(samples, Samples):
            return samples
        listed = list(samples)
        places: dict[SampleKind, int] = {}
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
    def present(self) -> Sequence[SampleKind]:
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


def _kind(sample: Sample) -> SampleKind:
    return SampleKind(metric=sample.metric, unit=sample.unit, process=sample.process, driver=sample.driver)


def _sample(kind: SampleKind, value: float) -> Sample:
    return Sample(metric=kind.metric, unit=kind.unit, value=value, process=kind.process, driver=kind.driver)


class SampleRecord(Struct, frozen=True, kw_only=True, gc=False):
    """A sample as outcomes.jsonl has it. Word and size are checked by SampleReader, of many at once."""

    metric: str
    unit: str
    value: float
    process: Process
    driver: str

    @classmethod
    def of(cls, sample: Sample) -> SampleRecord:
        """The same, to be written."""
        return cls(
            metric=sample.metric,
            unit=sample.unit,
            value=sample.value,
            process=sample.process,
            driver=sample.driver,
        )


_KIND = attrgetter("metric", "unit", "process", "driver")

_VALUE = attrgetter("value")


class SampleReader(dict[tuple[str, str, Process, str], int]):
    """Reads the samples of many trials, which share their kinds. As a dictionary: the place of each kind."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds: list[SampleKind] = []

    def read(self, records: Sequence[SampleRecord]) -> Samples:
        """The samples in `records`. Raises ValueError that names the field."""
        codes = np.fromiter(map(self.__getitem__, map(_KIND, records)), np.int32, len(records))
        values = np.fromiter(map(_VALUE, records), np.float64, len(records))
        _require_size(values)
        return Samples(self.kinds, codes, values)

    def __missing__(self, key: tuple[str, str, Process, str]) -> int:
        metric, unit, process, driver = key
        if not re.search(WORD, metric):
            raise ValueError(
                f'field "metric" of a sample is {reprlib.repr(metric)}: expected a word of letters, digits, '
                "'_', '.' and '-'"
            )
        self.kinds.append(SampleKind(metric=metric, unit=unit, process=process, driver=driver))
        self[key] = len(self.kinds) - 1
        return self[key]


def _require_size(values: NDArray[np.float64]) -> None:
    sizes = np.abs(values)
    sound = (values == 0) | ((sizes >= LEAST_SIZE) & (sizes <= MOST_SIZE))
    if not sound.all():
        first = int(np.argmin(sound))
        raise ValueError(
            f'field "samples[{first}].value" is {values[first]:g}: expected zero or {LEAST_SIZE:g} to '
            f"{MOST_SIZE:g} in size"
        )
