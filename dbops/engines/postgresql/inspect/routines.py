"""Functions, procedures and aggregates."""

from __future__ import annotations

from dbops.catalog.model import Options, Routine
from dbops.engines.postgresql.inspect.reading import MANAGED, PROC, Reading

_QUERY = f"""
SELECT p.oid, p.pronamespace, p.proname, p.prokind, p.proowner, l.lanname,
       ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY AS u(t, o) ORDER BY o),
       p.proargmodes, p.proargnames,
       ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proallargtypes) WITH ORDINALITY AS u(t, o) ORDER BY o),
       p.pronargdefaults, pg_get_function_result(p.oid), pg_get_function_identity_arguments(p.oid),
       CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) ELSE {{aggregate}} END
FROM pg_proc p
JOIN pg_namespace n ON n.oid = p.pronamespace
JOIN pg_language l ON l.oid = p.prolang
LEFT JOIN pg_aggregate a ON a.aggfnoid = p.oid AND p.prokind = 'a'
WHERE p.oid >= 16384 AND ({MANAGED} OR n.nspname = 'pg_catalog')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = {PROC} AND d.objid = p.oid AND d.deptype = 'i')
ORDER BY n.nspname, p.proname, p.oid"""

#: CREATE AGGREGATE with every part that is set; names of functions come out qualified under an empty search_path.
_AGGREGATE = """format(E'CREATE AGGREGATE %I.%I(%s) (\\n    %s\\n)', n.nspname, p.proname,
    CASE WHEN p.pronargs = 0 THEN '*' ELSE pg_get_function_arguments(p.oid) END,
    array_to_string(ARRAY[
      'SFUNC = ' || a.aggtransfn::regproc,
      'STYPE = ' || format_type(a.aggtranstype, NULL),
      CASE WHEN a.aggtransspace <> 0 THEN 'SSPACE = ' || a.aggtransspace END,
      CASE WHEN a.aggfinalfn <> 0 THEN 'FINALFUNC = ' || a.aggfinalfn::regproc END,
      CASE WHEN a.aggfinalextra THEN 'FINALFUNC_EXTRA' END,
      CASE WHEN a.aggfinalfn <> 0 AND a.aggfinalmodify <> CASE a.aggkind WHEN 'n' THEN 'r'::"char" ELSE 'w'::"char" END
           THEN 'FINALFUNC_MODIFY = '
             || CASE a.aggfinalmodify WHEN 'r' THEN 'READ_ONLY' WHEN 's' THEN 'SHAREABLE' ELSE 'READ_WRITE' END END,
      CASE WHEN a.aggcombinefn <> 0 THEN 'COMBINEFUNC = ' || a.aggcombinefn::regproc END,
      CASE WHEN a.aggserialfn <> 0 THEN 'SERIALFUNC = ' || a.aggserialfn::regproc END,
      CASE WHEN a.aggdeserialfn <> 0 THEN 'DESERIALFUNC = ' || a.aggdeserialfn::regproc END,
      CASE WHEN a.agginitval IS NOT NULL THEN 'INITCOND = ' || quote_literal(a.agginitval) END,
      CASE WHEN a.aggmtransfn <> 0 THEN 'MSFUNC = ' || a.aggmtransfn::regproc END,
      CASE WHEN a.aggminvtransfn <> 0 THEN 'MINVFUNC = ' || a.aggminvtransfn::regproc END,
      CASE WHEN a.aggmtranstype <> 0 THEN 'MSTYPE = ' || format_type(a.aggmtranstype, NULL) END,
      CASE WHEN a.aggmtransspace <> 0 THEN 'MSSPACE = ' || a.aggmtransspace END,
      CASE WHEN a.aggmfinalfn <> 0 THEN 'MFINALFUNC = ' || a.aggmfinalfn::regproc END,
      CASE WHEN a.aggmfinalextra THEN 'MFINALFUNC_EXTRA' END,
      CASE WHEN a.aggmfinalfn <> 0 AND a.aggmfinalmodify <> CASE a.aggkind WHEN 'n' THEN 'r'::"char" ELSE 'w'::"char" END
           THEN 'MFINALFUNC_MODIFY = '
             || CASE a.aggmfinalmodify WHEN 'r' THEN 'READ_ONLY' WHEN 's' THEN 'SHAREABLE' ELSE 'READ_WRITE' END END,
      CASE WHEN a.aggminitval IS NOT NULL THEN 'MINITCOND = ' || quote_literal(a.aggminitval) END,
      CASE WHEN a.aggsortop <> 0 THEN (
        SELECT format('SORTOP = OPERATOR(%I.%s)', sn.nspname, so.oprname)
        FROM pg_operator so JOIN pg_namespace sn ON sn.oid = so.oprnamespace WHERE so.oid = a.aggsortop) END,
      CASE WHEN a.aggkind = 'h' THEN 'HYPOTHETICAL' END,
      CASE p.proparallel WHEN 's' THEN 'PARALLEL = SAFE' WHEN 'r' THEN 'PARALLEL = RESTRICTED' END
    ], E',\\n    '))"""

PG_CATALOG = 11
"""The system's own schema: a superuser may add functions to it, such as stand-ins for those of a later version."""
_FLAVOURS = {"f": "function", "p": "procedure", "a": "aggregate", "w": "window"}
_MODES = {"i": "", "o": "OUT ", "b": "INOUT ", "v": "VARIADIC ", "t": "TABLE "}


def read_routines(reading: Reading) -> None:
    """Add the routines of the user; constructors of range types are inner parts of their types."""
    for row in reading.conn.query(_QUERY.format(aggregate=_AGGREGATE)):
        oid, namespace, name, kind, owner, language, inputs, modes, names, all_types, defaults, result, identity, definition = row
        schema = reading.schemas.get(namespace) or ("pg_catalog" if namespace == PG_CATALOG else None)
        if schema is None or reading.is_member(PROC, oid):
            reading.excluded.add((PROC, oid))
            continue
        signature = _signature(inputs, modes, names, all_types or inputs, defaults, result)
        reading.add(
            PROC,
            oid,
            Routine(
                schema=schema,
                name=f"{name}({', '.join(inputs)})",
                comment=reading.comment(PROC, oid),
                owner=reading.owner(owner),
                grants=reading.grants.get((PROC, oid)),
                flavour=_FLAVOURS[kind],
                signature=signature,
                definition=definition.strip(),
                language=language,
                options=_options(kind, identity),
            ),
        )


def _options(kind: str, identity: str) -> Options:
    """How an aggregate is named in statements: `*` and ORDER BY belong to its identity."""
    return (("identity", identity or "*"),) if kind == "a" else ()


def _signature(
    inputs: list[str], modes: list[str] | None, names: list[str] | None, types: list[str], defaults: int, result: str | None
) -> str:
    """What CREATE OR REPLACE must find unchanged: names, modes and types of arguments, which have defaults, the result."""
    modes = modes or ["i"] * len(types)
    takes_value = [mode in "ibv" for mode in modes]
    first_default = sum(takes_value) - defaults
    parts: list[str] = []
    seen = 0
    for mode, kind, name, is_input in zip(modes, types, names or [""] * len(types), takes_value, strict=True):
        has_default = is_input and seen >= first_default
        seen += is_input
        parts.append(f"{_MODES[mode]}{name + ' ' if name else ''}{kind}{' DEFAULT' if has_default else ''}")
    return f"({', '.join(parts)})" + (f" RETURNS {result}" if result else "")
