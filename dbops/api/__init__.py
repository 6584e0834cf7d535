"""The Python API: managers, services and functions for programs. Thin: everything is done by the use cases.

* `db_manager`  connections, queries and transactions
* `service`     databases that model files name, for asynchronous programs
"""
