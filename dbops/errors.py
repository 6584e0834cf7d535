"""Every error dbops raises: one hierarchy, each error saying where, what, what was expected and how to fix it.

::

    DbopsError
    ├── ManifestError            a manifest, an overlay, a variable or a secret is wrong
    ├── ConnectError             a server or file cannot be reached, or refuses us
    │   └── MissingDatabaseError   the server answers, the database is not there
    ├── QueryError               the database refused a statement
    │   ├── TransientError         worth trying again: deadlock, serialization, too many connections
    │   │   └── LostConnectionError  the session is gone
    │   ├── MissingTableError      the table it names is not there
    │   └── LockTimeoutError       somebody else holds the lock
    ├── SchemaError              a source does not load, or a schema cannot be expressed
    │   └── NoScratchError         no place where SQL could be tried out
    ├── PlanError                a plan cannot be made or used
    │   ├── StalePlanError         the database or the manifests moved since the plan was made
    │   ├── HazardError            a hazard was not allowed
    │   └── RehearsalError         the steps did not lead to the desired schema on the scratch copy
    ├── ApplyError               a step failed; the journal says what stands
    │   └── ConvergenceError       all steps ran, and the database still differs
    ├── MigrationError
    ├── BackupError
    ├── MonitoringError
    ├── ArgumentError            an argument of the Python API is of a type that it cannot be; a TypeError too
    ├── RecordError              a table, field, filter or value that a program gives is wrong; the code says which
    └── Problems                 several errors found in one pass
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Mark(NamedTuple):
    """A place in a source file; `line` and `column` count from 1, 0 when unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        if not self.line:
            return self.file
        return f"{self.file}:{self.line}:{self.column}" if self.column else f"{self.file}:{self.line}"


class DbopsError(Exception):
    """Base of every error.

    `message` says what; `at` where; `expected` what would have been right; `fix` what to do about it.
    `context` carries machine-readable details and never a secret. `error_code` is stable and defaults to the class name.
    """

    def __init__(
        self,
        message: str,
        context: dict[str, Any] | None = None,
        error_code: str | None = None,
        *,
        at: Mark | None = None,
        expected: str | None = None,
        fix: str | None = None,
        **details: Any,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.context: dict[str, Any] = {**(context or {}), **details}
        self.error_code: str = error_code or type(self).__name__
        self.at = at
        self.expected = expected
        self.fix = fix

    def __str__(self) -> str:
        return self.message

    def explain(self) -> str:
        """Return the full text for a person: place, message, expectation and fix, one per line."""
        lines = [f"{self.at}: {self.message}" if self.at else self.message]
        if self.expected:
            lines.append(f"  expected {self.expected}")
        if self.fix:
            lines.append(f"  {self.fix}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return `{error_type, error_code, message, context}`, ready for JSON."""
        context = dict(self.context)
        if self.at:
            context |= {"file": self.at.file, "line": self.at.line, "column": self.at.column}
        for key in ("expected", "fix"):
            if value := getattr(self, key):
                context[key] = value
        return {"error_type": type(self).__name__, "error_code": self.error_code, "message": self.message, "context": context}


CodomyrmexError = DbopsError


class ManifestError(DbopsError):
    """A manifest, an overlay, a variable or a secret is wrong."""


class ConnectError(DbopsError):
    """A server or file cannot be reached, or refuses us."""


class MissingDatabaseError(ConnectError):
    """The server answers, but the database does not exist."""


class QueryError(DbopsError):
    """The database refused a statement; `context["sqlstate"]` holds the engine's code where there is one."""


class TransientError(QueryError):
    """The statement may succeed when tried again."""


class LostConnectionError(TransientError):
    """The session is gone; whether the statement was carried out is not known."""


class MissingTableError(QueryError):
    """A statement names a table that is not there."""


class LockTimeoutError(QueryError):
    """A lock was not granted in time."""


class SchemaError(DbopsError):
    """A schema source does not load, or cannot be expressed on this engine."""


class NoScratchError(SchemaError):
    """There is no place where SQL could be tried out."""


class PlanError(DbopsError):
    """A plan cannot be made or used."""


class StalePlanError(PlanError):
    """The database is no longer what the plan saw."""


class HazardError(PlanError):
    """A step carries a hazard that nobody allowed."""


class RehearsalError(PlanError):
    """The steps did not lead to the desired schema on a scratch copy."""


class ApplyError(DbopsError):
    """A step failed; the journal says which statements ran."""


class ConvergenceError(ApplyError):
    """Every step ran, and a fresh observation still differs."""


class MigrationError(DbopsError):
    """A versioned migration is wrong or failed."""


class BackupError(DbopsError):
    """A backup, restore or verification failed."""


class MonitoringError(DbopsError):
    """A metric, alert or report cannot be had."""


class ArgumentError(DbopsError, TypeError):
    """An argument of the Python API is of a type that it cannot be."""


class RecordError(DbopsError):
    """A program names a table, field, operator or value that cannot be; `error_code` says which, nothing was touched."""


class Problems(DbopsError):
    """Several errors found in one pass, in file order."""

    def __init__(self, problems: list[DbopsError]) -> None:
        super().__init__(f"{len(problems)} problems" if len(problems) != 1 else problems[0].message)
        self.problems = problems

    def explain(self) -> str:
        return "\n".join(problem.explain() for problem in self.problems)
