"""Backups of MySQL and MariaDB: dumps of a database, copies of a server's files, and the binary log that continues either.

* `tools`      the client programs, what each version of them is told, and the file that tells them where to connect
* `sections`   the text of a dump cut into tables, rows and views while it passes by
* `views`      views that cannot be read, and so not be dumped
* `dumping`    a dump of one database in named streams
* `mydumper`   the rows of a dump read by several sessions
* `loading`    these brought into a new database, or beside an existing one and switched in
* `switching`  tables of one database put in the place of those of another
* `broken_off` a mark of a restore that goes on, or was killed
* `binlog`     the events of a binary log, read raw
* `logs`       the binary log copied since the backup before
* `filtering`  which events concern one database
* `replaying`  copied logs written into a server up to a point
* `files`      a copy of a server's files by mariadb-backup, full or since an LSN
* `preparing`  these made into a data folder
* `staging`    a private server on what a chain holds
* `mechanisms` what this server, account and machine can do, and why not
* `privileges` what an account may do
* `spool`      streams in a folder of our own
* `restoring`  a chain brought back, whatever it is made of
* `trying`     a chain restored for trial
* `examining`  a chain looked at without a server
* `port`       these as the engine's backup port
"""
