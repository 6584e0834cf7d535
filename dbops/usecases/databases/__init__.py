"""databases: SQL of other programs, run on pooled sessions.

* `address`   a URL, or its parts, as the target of an engine
* `pool`      sessions handed out, one to a user at a time, and found dead before they are used
* `database`  statements and transactions of many threads and tasks on one database
* `turns`     writers one after the other, on a database that has one at a time
* `lending`   connections of any factory, lent to one user at a time
* `tables`    the rows of a table, read and written in batches
"""
