"""databases: SQL of other programs, run on pooled sessions.

* `address`   a URL, or its parts, as the target of an engine
* `pool`      sessions handed out, one to a user at a time, and found dead before they are used
* `database`  statements and transactions of many threads and tasks on one database
* `parameters`  values for the marks of a statement
* `turns`     who wants a session, or to write where one writes at a time, in the order in which they came
* `lending`   connections of any factory, lent to one user at a time
* `tables`    the rows of a table, read and written in batches
"""
