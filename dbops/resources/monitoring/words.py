"""Numbers of figures in the words of their units."""

from __future__ import annotations

from collections.abc import Sequence

_SIZES = ("B", "KiB", "MiB", "GiB", "TiB")
_SPANS: Sequence[tuple[float, str]] = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"), (0.001, "ms"))


def in_words(number: float, unit: str) -> str:
    """Return a number as people read it: `1.5 MiB`, `12 s`, `98.2%`, `3.1/s`."""
    base, _, per = unit.partition("/")
    match base:
        case "bytes":
            text = _size(number)
        case "seconds":
            text = _span(number)
        case "ratio":
            text = f"{number * 100:.3g}%"
        case _:
            text = f"{number:,.0f}" if number == int(number) else f"{number:,.3g}"
    return f"{text}/{per}" if per else text


def _size(number: float) -> str:
    for unit in _SIZES[:-1]:
        if abs(number) < 1024:
            return f"{number:.4g} {unit}"
        number /= 1024
    return f"{number:.4g} {_SIZES[-1]}"


def _span(number: float) -> str:
    for length, unit in _SPANS:
        if abs(number) >= length:
            return f"{number / length:.3g} {unit}"
    return f"{number * 1000:.3g} ms" if number else "0 s"
