"""What acts on the rows of a table or view: triggers, rules and row security policies, in one query."""

from __future__ import annotations

from dbops.catalog.model import Policy, Rule, Trigger, Unmanaged
from dbops.catalog.ref import Ref
from dbops.engines.postgresql.inspect.reading import CLASS, POLICY, REWRITE, TRIGGER, Reading

_QUERY = f"""
SELECT {TRIGGER}, t.oid, t.tgrelid, t.tgname, t.tgenabled::text, CASE WHEN t.tgparentid = 0 THEN pg_get_triggerdef(t.oid) END,
       p.tgenabled::text, NULL, NULL::oid[]
FROM pg_trigger t LEFT JOIN pg_trigger p ON p.oid = t.tgparentid
WHERE NOT t.tgisinternal OR t.tgparentid <> 0 AND t.tgconstraint = 0
UNION ALL
SELECT {REWRITE}, r.oid, r.ev_class, r.rulename, r.ev_enabled::text,
       CASE WHEN r.rulename <> '_RETURN' THEN pg_get_ruledef(r.oid) END, NULL, NULL, NULL
FROM pg_rewrite r WHERE r.oid >= 16384
UNION ALL
SELECT {POLICY}, oid, polrelid, polname, polcmd::text, pg_get_expr(polqual, polrelid),
       CASE WHEN polpermissive THEN 'p' ELSE 'r' END,
       pg_get_expr(polwithcheck, polrelid), polroles
FROM pg_policy
ORDER BY 4"""

_ENABLED = {"O": "origin", "D": "disabled", "R": "replica", "A": "always"}
_COMMANDS = {"*": "all", "r": "select", "a": "insert", "w": "update", "d": "delete"}


def read_attached(reading: Reading) -> None:
    """Add triggers, rules and policies of relations already read; clones on partitions are the parent's."""
    for catalog, oid, relation, name, state, text, other, check, roles in reading.conn.query(_QUERY):
        table = reading.refs.get((CLASS, relation))
        if table is None or reading.is_member(catalog, oid):
            reading.excluded.add((catalog, oid))
            continue
        comment = reading.comment(catalog, oid)
        if catalog == TRIGGER:
            _trigger(reading, oid, table, name, state, text, other)
        elif catalog == POLICY:
            policy = Policy(
                schema=table.schema, parent=table.name, name=name, comment=comment, command=_COMMANDS[state],
                permissive=other == "p", roles=tuple(sorted(reading.roles[role] for role in roles)), using=text, check=check,
            )  # fmt: skip
            reading.add(catalog, oid, policy)
        elif text is None:
            reading.refs[catalog, oid] = table  # the rule that makes a view a view
        else:
            definition = text.strip().removesuffix(";")
            rule = Rule(
                schema=table.schema, parent=table.name, name=name, comment=comment, definition=definition, enabled=_ENABLED[state]
            )
            reading.add(catalog, oid, rule)


def _trigger(reading: Reading, oid: int, table: Ref, name: str, state: str, text: str | None, parent_state: str | None) -> None:
    if text is None:
        reading.excluded.add((TRIGGER, oid))
        if parent_state is not None and parent_state != state:
            what = f"{table.qualified}.{name}"
            reading.unmanaged.add(Unmanaged("trigger", what, "enabled otherwise than the trigger of its partitioned table"))
        return
    item = Trigger(
        schema=table.schema,
        parent=table.name,
        name=name,
        comment=reading.comment(TRIGGER, oid),
        definition=text,
        enabled=_ENABLED[state],
    )
    reading.add(TRIGGER, oid, item)
