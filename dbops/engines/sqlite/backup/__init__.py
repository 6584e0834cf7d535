"""Backups of a SQLite file: all its pages, or those that changed.

* `snapshot`   the pages of one state of the file, read raw under a read transaction, WAL included
* `pages`      which pages changed, by a table of their hashes
* `making`     a backup from a snapshot
* `picking`    some tables of a restored file, and what could not do without the others
* `restoring`  a file put together beside its place, checked, and switched in
* `port`       these as the engine's backup port
"""
