"""Databases for programs: found in their model files, made, pooled, read and written record by record.

* `settings`    the settings, and the environment variables that set them
* `places`      where the database of a name is
* `discovery`   which databases the model files below a folder name, and their metadata
* `creating`    databases and tables that are missing
* `pools`       a database with its pool and its sessions
* `retries`     what may succeed when tried again, tried again
* `values`      values that fit a column
* `filters`     filters and orders as SQL, every field and operator known
* `tables`      tables by name, looked up in the catalog
* `records`     rows as dictionaries
* `objects`     rows as objects of a program's models
* `transactions`  sessions for one operation, or for all that join
* `revisions`   versions of a schema, kept by Alembic
"""
