"""What an operation of the service returns: success with data, or an error with a code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, overload

from dbops.errors import DbopsError, Problems

MODULE = "core.database"
"""What errors say they come from."""


class _Success:
    """`Result.success(data)` makes a result, `result.success` says whether it is one."""

    @overload
    def __get__(self, result: None, owner: type[Result]) -> Callable[..., Result]: ...
    @overload
    def __get__(self, result: Result, owner: type[Result]) -> bool: ...
    def __get__(self, result: Result | None, owner: type[Result]) -> Any:
        if result is not None:
            return result._error is None

        def success(data: Any = None) -> Result:
            return owner(True, data)

        return success


class _Error:
    """`Result.error(code, message, details)` makes a failure, `result.error` is what it says."""

    @overload
    def __get__(self, result: None, owner: type[Result]) -> Callable[..., Result]: ...
    @overload
    def __get__(self, result: Result, owner: type[Result]) -> dict[str, Any] | None: ...
    def __get__(self, result: Result | None, owner: type[Result]) -> Any:
        if result is not None:
            return result._error

        def error(code: str, message: str, details: Mapping[str, Any] | None = None) -> Result:
            return owner(False, None, {"code": code, "message": message, "details": dict(details or {})})

        return error


class Result:
    """`success`, `data`, and `error`: None, or `{code, message, details}`. True when it is a success.

    `Result.success(data=...)` and `Result.error(code=..., message=..., details=...)` make one.
    """

    success: ClassVar[_Success] = _Success()
    error: ClassVar[_Error] = _Error()
    __slots__ = ("_error", "data")

    def __init__(self, success: bool = True, data: Any = None, error: dict[str, Any] | None = None) -> None:
        """Raises: ValueError: a success with an error, or a failure without one."""
        if success != (error is None):
            raise ValueError("a success has no error, a failure has one")
        self.data: Any = data
        self._error = error

    def __bool__(self) -> bool:
        return self._error is None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Result) and (self.data, self._error) == (other.data, other._error)

    def __repr__(self) -> str:
        return f"Result.success({self.data!r})" if self else f"Result.error({self._error!r})"

    def to_dict(self) -> dict[str, Any]:
        """Return `{success, data, error}`."""
        return {"success": self.success, "data": self.data, "error": self._error}


def standard_error(error: DbopsError | Result) -> dict[str, Any]:
    """Return `{"error": {code, message, module, details}}` for an error or a failed result, as the REST service sends it.

    Raises:
        ValueError: the result is a success.
    """
    if isinstance(error, Result):
        if error.error is None:
            raise ValueError("the result is a success")
        return {"error": {"module": MODULE, **error.error}}
    return {"error": {"module": MODULE, "code": error.error_code, "message": error.message, "details": details_of(error)}}


def details_of(error: DbopsError) -> dict[str, Any]:
    """Return what an error knows besides its message; of several found in one pass, `problems`: the full text of each."""
    problems = [one.explain() for one in error.problems] if isinstance(error, Problems) else None
    told = {"expected": error.expected, "fix": error.fix, "place": str(error.at) if error.at else None, "problems": problems}
    return {**error.context, **{name: value for name, value in told.items() if value}}
