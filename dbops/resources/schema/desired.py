"""A Schema manifest turned into what it means: paths made absolute, scope, renames, policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from dbops.catalog.scope import Scope
from dbops.manifests.environment import Environment, Manifest, bindings
from dbops.resources.schema.model import (
    DesiredSchema,
    ModelSource,
    ReferenceFile,
    Rename,
    Source,
    SqlSource,
    TableSource,
    TolerateDrift,
    UnmanagedPolicy,
)

if TYPE_CHECKING:
    from dbops.resources.schema.spec import RenameSpec, SchemaSpec, SourceSpec


def desired_schemas(manifest: Manifest, environment: Environment) -> Sequence[DesiredSchema]:
    """Return one desired schema per connection the manifest is bound to; several get the connection's name behind theirs."""
    spec = cast("SchemaSpec", manifest.spec)
    bound = bindings(environment, manifest)
    several = spec.connection is None
    return [
        DesiredSchema(
            name=f"{manifest.name}@{connection.name}" if several else manifest.name,
            connection=connection.name,
            at=manifest.at,
            source=_source(spec.source, manifest),
            scope=Scope(tuple(spec.schemas) if spec.schemas is not None else None, tuple(spec.exclude)),
            renames=tuple(_rename(item) for item in spec.renames),
            data=tuple(
                ReferenceFile(item.table, item.key, (manifest.root / item.file).absolute(), manifest.mark("spec", "data", place))
                for place, item in enumerate(spec.data)
            ),
            tolerated=tuple(TolerateDrift(rule.object, rule.field, rule.reason, rule.until) for rule in spec.ignore_drift),
            unmanaged=UnmanagedPolicy(spec.policy.unmanaged.default, spec.policy.unmanaged.kinds()),
            allow=spec.policy.allow,
            online=spec.policy.online,
            lint=spec.policy.lint,
        )
        for connection in bound
    ]


def _source(source: SourceSpec, manifest: Manifest) -> Source:
    root = manifest.root
    if source.sql is not None:
        return SqlSource(tuple((root / path).absolute() for path in source.sql))
    if source.models is not None:
        return ModelSource(root.absolute(), source.models.paths or (), source.models.import_, source.models.database)
    tables = source.tables or ()
    return TableSource(tables, tuple(manifest.mark("spec", "source", "tables", place) for place in range(len(tables))))


def _rename(rename: RenameSpec) -> Rename:
    return Rename(rename.kind, rename.old, rename.to)
