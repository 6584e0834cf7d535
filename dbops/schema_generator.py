"""The names of `dbops.api.schema_generator`, where older programs look for them."""

from dbops.api.schema_generator import (
    Column,
    Index,
    SchemaDefinition,
    SchemaGenerator,
    SchemaManager,
    SchemaMigration,
    SchemaTable,
    generate_schema,
)

__all__ = [
    "Column",
    "Index",
    "SchemaDefinition",
    "SchemaGenerator",
    "SchemaManager",
    "SchemaMigration",
    "SchemaTable",
    "generate_schema",
]
