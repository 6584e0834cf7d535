"""`${NAME}` and `${NAME:-default}` in values; `$${` stands for `${` itself.

Variables are put in after YAML was read, into texts only: a value can never become YAML.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dbops.dataclass import dataclass
from dbops.errors import DbopsError, ManifestError, Mark
from dbops.manifests.document import KeyPath, Marks
from dbops.manifests.spec import nearest

_PATTERN = re.compile(r"\$\$\{|\$\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<otherwise>:-[^}]*)?\})?")
_SPELLING = "${NAME} or ${NAME:-default}"


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of an environment; `text` may mention others."""

    text: str
    at: Mark


@dataclass(frozen=True, slots=True)
class Variables:
    """The environment's own variables, and behind them the process environment."""

    declared: Mapping[str, Variable]
    process_env: Mapping[str, str]

    def expand(self, text: str, at: Mark, within: tuple[str, ...] = ()) -> str:
        """Return `text` with every variable replaced; a default also stands in for an empty value.

        Raises:
            ManifestError: at `at`; a variable that is missing, misspelled or made of itself. No value is shown.
        """
        return _PATTERN.sub(lambda found: self._replacement(found, at, within), text) if "${" in text else text

    def _replacement(self, found: re.Match[str], at: Mark, within: tuple[str, ...]) -> str:
        if found[0] == "$${":
            return "${"
        name = found["name"]
        if name is None:
            raise ManifestError(
                "a variable is not closed or has no proper name", at=at, expected=_SPELLING, fix="write $${ for a plain ${"
            )
        value = self._value(name, at, within)
        if found["otherwise"] is not None and not value:
            return found["otherwise"].removeprefix(":-")
        if value is None:
            raise ManifestError(
                f"the variable {name} is not set",
                at=at,
                expected=f"{name} in the environment's variables or in the process environment",
                fix=nearest(name, self.declared) or f"write ${{{name}:-default}} to do without it",
            )
        return value

    def _value(self, name: str, at: Mark, within: tuple[str, ...]) -> str | None:
        if name in within:
            raise ManifestError(f"the variable {name} is made of itself: {' -> '.join((*within, name))}", at=at)
        if name in self.declared:
            variable = self.declared[name]
            return self.expand(variable.text, variable.at, (*within, name))
        return self.process_env.get(name)


def substitute(value: Any, path: KeyPath, marks: Marks, variables: Variables, problems: list[DbopsError]) -> Any:
    """Return `value`, found at `path`, with variables put into all its texts; what is missing goes to `problems`."""
    match value:
        case str():
            if "${" not in value:
                return value
            try:
                return variables.expand(value, marks.value(path))
            except ManifestError as error:
                problems.append(error)
                return value
        case dict():
            return {name: substitute(item, (*path, name), marks, variables, problems) for name, item in value.items()}
        case list():
            return [substitute(item, (*path, index), marks, variables, problems) for index, item in enumerate(value)]
        case _:
            return value
