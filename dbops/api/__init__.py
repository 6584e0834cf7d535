"""The Python API: managers, services and functions for programs. Thin: everything is done by the use cases.

* `db_manager`           connections, queries and transactions
* `lineage`              where data comes from and goes
* `migration_manager`    migrations as files and as functions, records transformed, databases moved
* `backup_manager`       backups made, listed, verified and restored
* `schema_generator`     tables as DDL of any dialect, compared, migrated, made and changed
* `performance_monitor`  databases looked at, numbers kept, alerts, slow statements, recommendations
* `connections`          pools that lend connections, and look after them
* `service`              databases that model files name, for asynchronous programs
"""
