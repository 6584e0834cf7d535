"""What can be known of a source without speaking to the server of its connection."""

from __future__ import annotations

from dbops.catalog.scope import Scope
from dbops.errors import NoScratchError
from dbops.reconcile.resource import Check, Targets
from dbops.resources.schema.data import check_files
from dbops.resources.schema.loading import whole
from dbops.resources.schema.model import DesiredSchema
from dbops.resources.schema.partial import Source
from dbops.resources.schema.remarks import noted_renames
from dbops.resources.schema.sources import read_source


def check(desired: DesiredSchema, targets: Targets) -> Check:
    """Load the source on an offline scratch, where this machine can make one, and read the files of reference rows."""
    engine, target = targets.engine(desired.connection), targets.target(desired.connection)
    statements = read_source(desired.source, engine, target)
    tuple(noted_renames(statements, engine.dialect))  # a remark that says nothing is an error
    wanted, untried = None, None
    try:
        wanted = whole(Source(statements, engine.features), engine, lambda: engine.offline(target), Scope())
    except NoScratchError as error:
        untried = error.message
    check_files(desired.data, wanted, engine)
    return Check(len(statements), untried)
