"""What may go wrong, or be lost, when a statement runs: hazards are data, shown in plans and gated at apply."""

from __future__ import annotations

from dataclasses import dataclass

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
    }
)


@dataclass(frozen=True, slots=True)
class Hazard:
    """One hazard of one statement; `message` names the object and the lock or loss, and an estimate where known."""

    code: str
    message: str

    @property
    def is_blocking(self) -> bool:
        return self.code in BLOCKING
