"""Backups of PostgreSQL by its own programs.

* `programs`    which version of a program fits, and how it is told where the database is
* `abilities`   what this server, account and machine can make, or why not
* `facts`       what a restore has to know of a database that no dump says
* `dumping`     a logical full: pg_dump and pg_dumpall in one snapshot
* `choosing`    some schemas or tables of a dump, with all that belongs to them
* `roles`       roles that a backup names and a server lacks
* `loading`     a dump into a new database, renamed into its place when it is complete
* `segments`    names and positions of the write-ahead log
* `trying`      backups looked at by these programs, and tried out
* `port`        these as the engine's backup port
"""
