"""Backups of PostgreSQL by its own programs.

* `programs`    which version of a program fits, and how it is told where the database is
* `abilities`   what this server, account and machine can make, or why not
* `facts`       what a restore has to know of a database that no dump says
* `dumping`     a logical full: pg_dump and pg_dumpall in one snapshot
* `parallel`    dumps and restores by several sessions
* `choosing`    some schemas or tables of a dump, with all that belongs to them
* `roles`       roles that a backup names and a server lacks
* `loading`     a dump into a new database, renamed into its place when it is complete
* `tars`        what passes by in a tar
* `bases`       a physical full, or the blocks that changed since one: pg_basebackup
* `segments`    positions in the write-ahead log, names and headers of its segments
* `slots`       the replication slot that keeps the log between two runs
* `logs`        the log since another backup: pg_receivewal
* `folders`     the files of a server from a chain
* `recovery`    a server of our own on such files, which replays the log up to a point
* `restoring`   a physical chain into a folder, or one database of it into another server
* `checking`    tables and indexes of restored files looked through: pg_amcheck
* `trying`      backups looked at by these programs, and tried out
* `port`        these as the engine's backup port
"""
