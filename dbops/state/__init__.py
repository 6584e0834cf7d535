"""What dbops itself remembers inside a managed database: the journal of applies, and texts by key.

Tables are `dbops.applies`, `dbops.steps`, `dbops.memory` where the engine has schemas, `dbops_applies`, ... elsewhere.
Their layout stands in `specs/journal-format.md`. SQL here is the portable core all engines share.
"""
