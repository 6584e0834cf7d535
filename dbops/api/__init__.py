"""The Python API: managers and functions for programs. Thin: everything is done by the use cases, as for the command line.

* `db_manager`  connections, queries and transactions
"""
