"""What may go wrong, or be lost, when a statement runs: hazards are data, shown in plans and gated at apply."""

from __future__ import annotations

from dbops.dataclass import dataclass

#: Every hazard code and what it means. `BLOCKING` names those that must be allowed before apply runs.
HAZARDS: dict[str, str] = {
    "DELETES_DATA": "rows or values are deleted",
    "DELETES_OBJECT": "an object that other programs may use is dropped",
    "RENAMES": "running programs that use the old name break",
    "AMBIGUOUS_RENAME": "a drop and an add that look like a rename",
    "BREAKS_DEPENDENTS": "other objects or known queries no longer resolve",
    "REWRITES_TABLE": "the whole table is written again",
    "BLOCKS_READS": "readers wait while work proportional to the table is done",
    "BLOCKS_WRITES": "writers wait while work proportional to the table is done",
    "LOCK_QUEUE": "a short exclusive lock; sessions queue behind it while it waits",
    "SCANS_TABLE": "every row is read to prove the change",
    "MAY_FAIL_ON_DATA": "rows already stored may violate what is added",
    "INDEX_BUILD": "an index is built over existing rows",
    "INDEX_DROPPED": "queries that used the index may slow down",
    "LOST_IN_REBUILD": "a table is made anew by hand, and what stood on it is not",
    "RUNS_AGAIN": "another runner has applied the migration to this database already",
    "INVALID_INDEX": "a failed concurrent build left an invalid index",
    "DETACH_BLOCKS": "detaching a partition blocks the partitioned table",
    "CONSTRAINT_SWAP": "a key is added by building its index in place",
    "NOT_TRANSACTIONAL": "the statement cannot be rolled back with its neighbours",
    "ENUM_REBUILD": "the type is built again under its columns",
    "AUTHZ_CHANGE": "who may do what changes",
    "EXTENSION_CHANGE": "an extension is installed, updated or dropped",
    "FUNCTION_VOLATILITY": "a function promises more stability than its body keeps",
    "UNTRACKED_DEPENDENCY": "the body refers to objects that the database does not track",
    "DEFAULT_CHANGES_ROWS": "adding the default writes every row",
    "IMPLICIT_ZERO_VALUE": "existing rows get the type's zero value",
    "IMPLICIT_COMMIT": "the statement commits what ran before it",
    "CHARSET_CONVERSION": "stored text is converted to another character set or collation",
    "REPLICATION_IMPACT": "replicas or subscribers are affected",
    "FOREIGN_KEY_SUPPORT_MISSING": "the foreign key has no index on the referencing side",
    "SEQUENCE_RISK": "the key space is small or restarts",
    "DISK_SPACE": "about the table's size is needed again",
    "LONG_TRANSACTION": "strong locks are held for a long time",
    "BACKFILL_INLINE": "an unbounded UPDATE or DELETE inside a migration",
    "IRREVERSIBLE": "no undo can restore what is lost",
}

#: Hazards that stop apply unless allowed on the command line or by the manifest's policy.
BLOCKING: frozenset[str] = frozenset(
    {
        "DELETES_DATA",
        "DELETES_OBJECT",
        "AMBIGUOUS_RENAME",
        "BREAKS_DEPENDENTS",
        "IRREVERSIBLE",
        "ENUM_REBUILD",
        "CHARSET_CONVERSION",
        "IMPLICIT_ZERO_VALUE",
        "LOST_IN_REBUILD",
        "RUNS_AGAIN",
    }
)

#: What no remark in a file lets pass, for it is about the database and not about the text.
BEYOND_TEXT: frozenset[str] = frozenset({"RUNS_AGAIN"})

_PG, _MY, _LITE = "postgresql", "mysql", "sqlite"
_ALL = (_PG, _MY, _LITE)

#: The engines whose plans tell a hazard; none where only the text of a migration can have it.
ENGINES: dict[str, tuple[str, ...]] = {
    "DELETES_DATA": _ALL,
    "DELETES_OBJECT": _ALL,
    "RENAMES": _ALL,
    "AMBIGUOUS_RENAME": _ALL,
    "BREAKS_DEPENDENTS": (_MY, _LITE),
    "REWRITES_TABLE": _ALL,
    "BLOCKS_READS": (_PG,),
    "BLOCKS_WRITES": (_PG, _MY),
    "LOCK_QUEUE": (_PG, _MY),
    "SCANS_TABLE": (_PG, _MY),
    "MAY_FAIL_ON_DATA": _ALL,
    "INDEX_BUILD": _ALL,
    "INDEX_DROPPED": _ALL,
    "LOST_IN_REBUILD": (),
    "RUNS_AGAIN": _ALL,
    "INVALID_INDEX": (_PG,),
    "DETACH_BLOCKS": (_PG,),
    "CONSTRAINT_SWAP": (_PG,),
    "NOT_TRANSACTIONAL": (_PG, _MY),
    "ENUM_REBUILD": (_PG, _MY),
    "AUTHZ_CHANGE": (_PG, _MY),
    "EXTENSION_CHANGE": (_PG,),
    "FUNCTION_VOLATILITY": (_PG,),
    "UNTRACKED_DEPENDENCY": (_PG,),
    "DEFAULT_CHANGES_ROWS": (_PG, _MY),
    "IMPLICIT_ZERO_VALUE": (_MY,),
    "IMPLICIT_COMMIT": (_MY,),
    "CHARSET_CONVERSION": (_MY,),
    "REPLICATION_IMPACT": (_PG, _MY),
    "FOREIGN_KEY_SUPPORT_MISSING": (_PG, _LITE),
    "SEQUENCE_RISK": (_PG, _MY),
    "DISK_SPACE": _ALL,
    "LONG_TRANSACTION": (_PG,),
    "BACKFILL_INLINE": (),
    "IRREVERSIBLE": (_PG, _MY),
}

#: What dbops writes instead where `policy.online` holds, or what a person can do.
ADVICE: dict[str, str] = {
    "DELETES_DATA": "rows are archived first, and `undo` brings them back",
    "DELETES_OBJECT": "`undo` makes it again",
    "RENAMES": "a view or generated column under the old name until all programs know the new one",
    "AMBIGUOUS_RENAME": "`renames:` in the manifest, or allow the loss",
    "BREAKS_DEPENDENTS": "change the objects it names in the same plan",
    "REWRITES_TABLE": "a new column, filled in batches; the server's instant ways are chosen where there are any",
    "BLOCKS_READS": "NOT VALID, then VALIDATE; a key on an index that is there",
    "BLOCKS_WRITES": "CONCURRENTLY; NOT VALID, then VALIDATE; ALGORITHM=INSTANT, then INPLACE with LOCK=NONE",
    "LOCK_QUEUE": "a lock timeout, then a pause and another attempt",
    "SCANS_TABLE": "NOT VALID, then VALIDATE, which blocks nobody",
    "MAY_FAIL_ON_DATA": "rows are asked before apply, and stop it before the first statement",
    "INDEX_BUILD": "CONCURRENTLY; INPLACE with LOCK=NONE",
    "INDEX_DROPPED": "CONCURRENTLY; build the new index first",
    "LOST_IN_REBUILD": "make them again behind the rename",
    "RUNS_AGAIN": "`dbops migrate adopt` takes the other runner's history over, and runs nothing",
    "INVALID_INDEX": "it is dropped and built again",
    "DETACH_BLOCKS": "CONCURRENTLY, from PostgreSQL 14 on and without a default partition",
    "CONSTRAINT_SWAP": "a unique index built concurrently, then USING INDEX",
    "NOT_TRANSACTIONAL": "the journal tells of every statement; apply goes on from what is there",
    "ENUM_REBUILD": "new labels at the end",
    "AUTHZ_CHANGE": "review by whoever answers for access",
    "EXTENSION_CHANGE": "review; extensions bring objects of their own",
    "FUNCTION_VOLATILITY": "promise what the body keeps",
    "UNTRACKED_DEPENDENCY": "change the bodies it names in the same plan",
    "DEFAULT_CHANGES_ROWS": "a column without the default, filled in batches, then the default",
    "IMPLICIT_ZERO_VALUE": "give a default",
    "IMPLICIT_COMMIT": "a plan of its own for the rows",
    "CHARSET_CONVERSION": "check lengths and order first",
    "REPLICATION_IMPACT": "the same change on the other side: before for what comes, after for what goes",
    "FOREIGN_KEY_SUPPORT_MISSING": "an index that begins with the key's columns",
    "SEQUENCE_RISK": "bigint",
    "DISK_SPACE": "make room first",
    "LONG_TRANSACTION": "several applies with `--target`",
    "BACKFILL_INLINE": "batches by key",
    "IRREVERSIBLE": "a backup, or a new column beside the old",
}


@dataclass(frozen=True, slots=True)
class Hazard:
    """One hazard of one statement; `message` names the object and the lock or loss, and an estimate where known.

    `allowed` says why whoever wrote the statement lets it pass, None where nobody does.
    """

    code: str
    message: str
    allowed: str | None = None

    @property
    def is_blocking(self) -> bool:
        return self.code in BLOCKING and self.allowed is None
