"""How SQL is linted: the `lint` section of a policy, and the file `.dbops-lint.yaml` beside SQL files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from dbops.dataclass import dataclass
from dbops.errors import DbopsError, Problems
from dbops.manifests.spec import WRITTEN, Form, Spec, Text, complain, nearest

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic_core import CoreSchema

FILE_NAME = ".dbops-lint.yaml"


@dataclass(frozen=True, slots=True)
class _Code:
    """Marks texts that are codes of rules; the rules are imported when one is checked."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        from dbops.lint.rule import rules

        return {"type": "string", "enum": list(rules())}

    def _check(self, text: str) -> str:
        from dbops.lint.rule import rules

        if text not in rules():
            expected = "the code of a rule; dbops lint --list shows them"
            raise complain(f"unknown rule '{WRITTEN}'", expected=expected, fix=nearest(text, rules()))
        return text


@dataclass(frozen=True, slots=True)
class _Pattern:
    """Marks texts that are regular expressions."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def _check(self, text: str) -> str:
        try:
            re.compile(text)
        except re.error as error:
            raise complain(f"'{WRITTEN}' is no regular expression: {error}", expected="such as [a-z][a-z0-9_]*") from error
        return text


RuleCode = Annotated[str, _Code()]
Pattern = Annotated[str, _Pattern()]


class LintSpec(Spec):
    """Which rules run on SQL, and how strictly."""

    engine: Literal["postgresql", "mysql", "mariadb", "sqlite"] | None = None
    """The engine whose SQL the files hold; that of the connection in a manifest."""
    version: Annotated[str, Form(r"[0-9]+(\.[0-9]+){0,2}", "a version such as 15 or 10.11")] | None = None
    """The oldest version the files must run on; the newest when not given."""
    holds: Literal["schema", "migrations"] | None = None
    """Whether the files are one schema, in any order, or migrations, each applied by itself."""
    select: tuple[RuleCode, ...] = ()
    """The rules to run; all that are not off when not given."""
    ignore: tuple[RuleCode, ...] = ()
    """Rules not to run."""
    severity: Mapping[RuleCode, Literal["error", "warning", "off"]] = Field(default_factory=dict)
    """Severities that differ from the defaults."""
    naming: Mapping[Text, Pattern] = Field(default_factory=dict)
    """Regular expressions of whole names by kind: table, column, index, constraint, view, function, ..."""
    required_columns: tuple[Text, ...] = ()
    """Columns that every table must have."""
    forbidden_types: tuple[Text, ...] = ()
    """Types that no column may have, with or without their arguments."""
    most_indexes: Annotated[int, Field(gt=0)] | None = None
    """The most indexes and keys of a table; 12 when not given."""
    most_index_columns: Annotated[int, Field(gt=0)] | None = None
    """The most columns of an index; 5 when not given."""
    exclude: tuple[Text, ...] = ()
    """Files to leave out, as patterns relative to the folder of this file, such as vendor/*."""

    def given(self) -> Mapping[str, Any]:
        """Return the fields that are written, by their Python names."""
        return {name: getattr(self, name) for name in self.model_fields_set}


def read_lint_file(path: Path, shown: str) -> LintSpec:
    """Return the settings of a file.

    Raises:
        ManifestError, Problems: it cannot be read, or says what no setting says.
    """
    from dbops.manifests.loader import decode, parse_documents, read_bytes
    from dbops.manifests.validation import read_spec

    text = decode(read_bytes(path, shown), shown)
    problems: list[DbopsError] = []
    spec: LintSpec | None = LintSpec()
    for document in parse_documents(text, shown) if text.strip() else ():
        spec = read_spec(LintSpec, document.value, document.marks, problems)
    if problems or spec is None:
        raise Problems(problems)
    return spec
