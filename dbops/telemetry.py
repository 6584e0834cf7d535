"""Spans and metrics in OpenTelemetry's words for what dbops runs itself.

They go to the OpenTelemetry that the program has set up; dbops sets up none, and loads none: where the program did not import
`opentelemetry`, nothing is measured, and the question costs a look into a dictionary. Messages of errors stay out of spans, for
databases put values into them: what failed is told by its kind.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from dbops.version import __version__

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram, Meter
    from opentelemetry.trace import Span, Tracer

P = ParamSpec("P")
T = TypeVar("T")
Attributes = Mapping[str, str | int | float | bool]

_SCOPE = "dbops"
#: Seconds, as the conventions want them for `db.client.operation.duration` (Semantic conventions for database metrics, 1.33).
_STATEMENT_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
_OPERATION_BUCKETS = (0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)


def is_heard() -> bool:
    """Tell whether the program has loaded OpenTelemetry."""
    return "opentelemetry.trace" in sys.modules


@contextmanager
def operation(name: str, attributes: Attributes | None = None) -> Iterator[None]:
    """Measure what dbops does: a span `dbops NAME`, and its time in the histogram `dbops.operation.duration`."""
    if not is_heard():
        yield
        return
    with _measured(f"dbops {name}", attributes or {}, lambda: _durations("dbops.operation.duration", _OPERATION_BUCKETS), name):
        yield


def measured(name: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Measure each call of a function as an `operation` of that name."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            with operation(name):
                return function(*args, **kwargs)

        return call

    return decorate


@contextmanager
def _measured(name: str, attributes: Attributes, durations: Callable[[], Histogram], of: str) -> Iterator[None]:
    started = time.perf_counter()
    failed: dict[str, str] = {}
    tracer = _tracer()
    with tracer.start_as_current_span(name, attributes=attributes, record_exception=False, set_status_on_exception=False) as span:
        try:
            yield
        except BaseException as error:
            failed = {"error.type": type(error).__name__}
            _mark_failed(span, failed["error.type"])
            raise
        finally:
            durations().record(time.perf_counter() - started, {"dbops.operation": of, **failed})


class StatementSpan:
    """The span of one statement, begun when it is made and ended by `done` or `failed`, from whatever thread or task."""

    __slots__ = ("_attributes", "_span", "_started")

    def __init__(self, operation: str, attributes: Attributes, text: str) -> None:
        from opentelemetry.trace import SpanKind

        self._attributes = {**attributes, "db.operation.name": operation}
        where = attributes.get("db.namespace", attributes["db.system.name"])
        details = {**self._attributes, "db.query.text": text}
        self._span = _tracer().start_span(f"{operation} {where}", kind=SpanKind.CLIENT, attributes=details)
        self._started = time.perf_counter()

    def done(self, rows: int | None = None) -> None:
        """End the span; `rows` is how many were returned, None where nothing returns any."""
        self._end({})
        if rows is not None:
            self._span.set_attribute("db.response.returned_rows", rows)
        self._span.end()

    def failed(self, error: BaseException) -> None:
        """End the span with what kind of error it was."""
        kind = type(error).__name__
        _mark_failed(self._span, kind)
        self._end({"error.type": kind})
        self._span.end()

    def _end(self, more: Mapping[str, str]) -> None:
        took_s = time.perf_counter() - self._started
        _durations("db.client.operation.duration", _STATEMENT_BUCKETS).record(took_s, {**self._attributes, **more})


def _mark_failed(span: Span, kind: str) -> None:
    from opentelemetry.trace import StatusCode

    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR, kind)


def _tracer() -> Tracer:
    from opentelemetry import trace

    return trace.get_tracer(_SCOPE, __version__)


def meter() -> Meter:
    """Return what makes dbops's instruments, of the program's present provider."""
    from opentelemetry import metrics

    return metrics.get_meter(_SCOPE, __version__)


def _durations(name: str, buckets: tuple[float, ...]) -> Histogram:
    from opentelemetry import metrics

    return _histogram(metrics.get_meter_provider(), name, buckets)


@lru_cache(maxsize=8)
def _histogram(provider: object, name: str, buckets: tuple[float, ...]) -> Histogram:
    """One instrument for each provider, which a program may set later than dbops first runs."""
    return meter().create_histogram(name, unit="s", explicit_bucket_boundaries_advisory=buckets)
