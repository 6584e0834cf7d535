"""The usual figures of many numbers."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median, quantiles

from dbops.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Summary:
    """What many numbers have in common; `p95` lies between neighbours where no number is just there."""

    count: int
    mean: float
    median: float
    min: float
    max: float
    p95: float


def summary_of(numbers: Sequence[float]) -> Summary | None:
    """Return the summary, None of no numbers."""
    if not numbers:
        return None
    p95 = quantiles(numbers, n=20, method="inclusive")[-1] if len(numbers) > 1 else numbers[0]
    return Summary(len(numbers), fmean(numbers), median(numbers), min(numbers), max(numbers), p95)
