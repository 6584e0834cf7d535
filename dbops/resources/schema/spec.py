"""The spec of kind Schema: what a database should contain, from SQL files, SQLAlchemy models or portable tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from dbops.manifests.hazard_code import HazardCode
from dbops.manifests.lint_spec import LintSpec
from dbops.manifests.spec import WRITTEN, Bound, Choice, Day, Form, Later, Names, Spec, Text, complain, nearest, one_of

if TYPE_CHECKING:
    from dbops.resources.schema.table_spec import TableSpec
else:
    TableSpec = Any  # `Later` brings the model; see there


ModuleName = Annotated[str, Form(r"[A-Za-z_][\w.]*(:[A-Za-z_][\w.]*)?", "a module, or a name in it: app.models:Base")]
DottedColumn = Annotated[str, Form(r"[^.]+(\.[^.]+){1,2}", "table.column or schema.table.column")]


class ModelsSource(Choice):
    """SQLAlchemy models."""

    exactly_one: ClassVar[tuple[tuple[str, ...], ...]] = (("paths", "import"),)

    paths: Names | None = None
    """Python files with models, as paths or patterns such as app/**/db_models.py."""
    import_: Annotated[ModuleName | None, Field(alias="import")] = None
    """A module and in it a declarative base or MetaData, as module:name."""
    database: Text | None = None
    """With paths: only files that say DATABASE_NAME is this, which is read without running them."""

    @model_validator(mode="after")
    def _check_database(self) -> Self:
        if self.database is not None and self.paths is None:
            raise complain("database is given without paths", expected="it beside paths", path=("database",))
        return self


_FORMS = "{sql: [FILE OR FOLDER, ...]}, {models: {paths: [FILE, ...]}} or {tables: [...]}"


class SourceSpec(Choice):
    """Where the wanted schema is written down."""

    exactly_one: ClassVar[tuple[tuple[str, ...], ...]] = (("sql", "models", "tables"),)

    sql: Names | None = None
    """SQL files or folders of them, relative to the folder of the manifest's environment, in any order."""
    models: ModelsSource | None = None
    tables: Annotated[tuple[TableSpec, ...] | None, Later("dbops.resources.schema.table_spec:TableSpec")] = None
    """Portable tables."""

    @model_validator(mode="before")
    @classmethod
    def _say_the_form(cls, value: Any) -> Any:
        """A path where a mapping is expected: the form it should have is told."""
        if isinstance(value, str):
            is_python = value.endswith(".py")
            meant = f"{{models: {{paths: [{value}]}}}}" if is_python else f"{{sql: [{value}]}}" if value else ""
            raise complain(expected=_FORMS, fix=f"source: {meant}" if meant else None)
        if not isinstance(value, (dict, cls)):
            raise complain(expected=_FORMS)
        return value

    @model_validator(mode="after")
    def _check_tables(self) -> Self:
        tables = {table.qualified: [column.name for column in table.columns] for table in self.tables or ()}
        seen: set[str] = set()
        for number, table in enumerate(self.tables or ()):
            if table.qualified.lower() in seen:
                raise complain(f"a second table named '{WRITTEN}'", expected="one name once", path=("tables", number, "name"))
            seen.add(table.qualified.lower())
            for place, target, columns in table.references():
                path = ("tables", number, *place)
                if target not in tables:
                    raise complain(
                        f"there is no table '{WRITTEN}'", expected=one_of(tables), fix=nearest(target, tables), path=path
                    )
                missing = next((name for name in columns if name not in tables[target]), None)
                if missing is not None:
                    known = tables[target]
                    message = "the foreign key names a column that the other table has not"
                    raise complain(message, expected=one_of(known), fix=nearest(missing, known), path=path)
        return self


class RenameSpec(Choice):
    """An object that got another name: it is renamed, not dropped and made anew."""

    kinds: ClassVar[tuple[str, ...]] = ("table", "column", "view", "index", "sequence", "enum", "schema")
    exactly_one: ClassVar[tuple[tuple[str, ...], ...]] = (kinds,)

    table: Text | None = None
    column: DottedColumn | None = None
    """The old name, as table.column."""
    view: Text | None = None
    index: Text | None = None
    sequence: Text | None = None
    enum: Text | None = None
    schema_: Annotated[Text | None, Field(alias="schema")] = None
    to: Text
    """The new name, without the table or schema it is in."""

    @property
    def kind(self) -> str:
        """What is renamed, as the manifest says it."""
        return next(kind for kind in self.kinds if self._name(kind) is not None)

    @property
    def old(self) -> str:
        """The old name as written."""
        return str(self._name(self.kind))

    def _name(self, kind: str) -> str | None:
        name: str | None = getattr(self, "schema_" if kind == "schema" else kind)
        return name


class DataSpec(Spec):
    """Rows that belong to the schema, kept as in a file."""

    table: Text
    key: Names
    """The columns that tell rows apart."""
    file: Text
    """A CSV file with a header, relative to the folder of the manifest's environment."""


class ToleratedSpec(Spec):
    """A difference that is not drift."""

    object: Text
    """The object's name, such as public.jobs or jobs.state; shell patterns are understood."""
    field: Text | None = None
    """The attribute that may differ; all of the object when not given."""
    reason: Text
    """Why, for the reader who comes next."""
    until: Day | None = None
    """The last day on which this holds."""


Unmanaged = Literal["ignore", "report", "drop"]
_WORDS = {"enum": ["ignore", "report", "drop"]}


class UnmanagedSpec(Spec):
    """What happens to objects that the source does not name: a kind decides before its group, a group before `default`."""

    default: Unmanaged = "drop"
    schema_: Annotated[Unmanaged | None, Field(alias="schema")] = None
    table: Unmanaged | None = None
    column: Unmanaged | None = None
    view: Unmanaged | None = None
    materialized_view: Unmanaged | None = None
    foreign_table: Unmanaged | None = None
    virtual_table: Unmanaged | None = None
    index: Unmanaged | None = None
    constraint: Unmanaged | None = None
    primary_key: Unmanaged | None = None
    unique: Unmanaged | None = None
    foreign_key: Unmanaged | None = None
    check: Unmanaged | None = None
    exclusion: Unmanaged | None = None
    trigger: Unmanaged | None = None
    rule: Unmanaged | None = None
    policy: Unmanaged | None = None
    sequence: Unmanaged | None = None
    type: Unmanaged | None = None
    enum: Unmanaged | None = None
    domain: Unmanaged | None = None
    composite_type: Unmanaged | None = None
    range_type: Unmanaged | None = None
    routine: Unmanaged | None = None
    function: Unmanaged | None = None
    procedure: Unmanaged | None = None
    aggregate: Unmanaged | None = None
    event: Unmanaged | None = None
    extension: Unmanaged | None = None
    other: Unmanaged | None = None

    def kinds(self) -> dict[str, Unmanaged]:
        """Return what was said of kinds and groups, by the catalog's words for them."""
        said = {name.rstrip("_"): getattr(self, name) for name in type(self).model_fields if name != "default"}
        return {name: word for name, word in said.items() if word is not None}


def _by_kind(value: Any) -> Any:
    return {"default": value} if isinstance(value, str) else value


_UNMANAGED_FIELDS = [field.alias or name for name, field in UnmanagedSpec.model_fields.items()]
_UNMANAGED_SCHEMA = {
    "anyOf": [_WORDS, {"type": "object", "propertyNames": {"enum": _UNMANAGED_FIELDS}, "additionalProperties": _WORDS}],
    "default": "drop",
}


class PolicySpec(Spec):
    """How far dbops may go."""

    unmanaged: Annotated[UnmanagedSpec, BeforeValidator(_by_kind), WithJsonSchema(_UNMANAGED_SCHEMA)] = (
        UnmanagedSpec.model_construct()
    )
    """Objects in the database that the source does not name: one word for all, or words by kind; dropping still asks."""
    allow: tuple[HazardCode, ...] = ()
    """Hazards that apply lets pass without being asked."""
    online: bool = True
    """Prefer statements that do not block reads and writes."""
    lint: LintSpec = LintSpec.model_construct()
    """How `dbops lint` and `dbops validate` judge the SQL files of the source."""


class SchemaSpec(Bound):
    """What a database should contain."""

    source: SourceSpec
    schemas: Names | None = None
    """PostgreSQL: the schemas that are managed; all but the system's, extensions' and dbops's own when not given."""
    exclude: tuple[Text, ...] = ()
    """Objects left alone, as patterns such as audit.*."""
    renames: tuple[RenameSpec, ...] = ()
    data: tuple[DataSpec, ...] = ()
    ignore_drift: tuple[ToleratedSpec, ...] = ()
    policy: PolicySpec = PolicySpec.model_construct()
