"""What an engine can do: asked by everything above, so that nobody asks for an engine's name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Features:
    """Facts that hold for every version dbops supports; what depends on the version is asked of the connection's `Server`."""

    has_schemas: bool
    has_transactional_ddl: bool
    has_column_order: bool
    """Columns can be placed, so their order is part of the desired state."""
    has_servers: bool
    """A server holds databases that can be created; False where a database is a file."""
    has_grants: bool
    has_named_constraints: bool
    """Every constraint has a name in the catalog."""
    default_schema: str = ""
    state_prefix: str = "dbops_"
    """Put before the names of dbops's own tables: `dbops.` or `dbops_`."""
    long_text: str = "text"
    """The type of a text column without a practical limit."""
