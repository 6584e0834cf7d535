"""The MigrationSet kind: versioned migrations, each run once, in order, and remembered in a ledger inside the database.

* `spec`        what the manifest may say
* `model`       a migration, the set it belongs to, how each stands; typed changes
* `folder`      a folder of files turned into a set; `sql_files`, `json_files`, `python_files` read the formats
* `traces`      where in a file of Python an error came from
* `python_steps`, `alembic_scripts`   migrations in Python, and Alembic's own, run
* `alembic_env`  an env.py of Alembic, run or read
* `graph`       the order of a set: versions, dependencies; duplicates, cycles and gaps refused
* `lock_file`   `migrations.lock`: what was in the folder when it was last written down
* `adoption`    the history of another runner as a ledger: which file each row speaks of
* `standing`    a set against the ledger: pending, applied, changed, failed, missing, unknown
* `edits`       what changed in a file that was applied: nothing that counts, or which statement
* `run`         one migration run on a session, journaled statement by statement where it cannot be one transaction
* `script`      a script as the statements that run; what cannot stand in a migration
* `hazards`     what the statements of pending migrations do to tables that are there
* `touched`     the objects that a script speaks of
* `by_hand`     what changed in a database though no migration did it
* `replay`      a whole set run on a scratch database
* `resource`    the protocol of `dbops.reconcile`, filled
"""
