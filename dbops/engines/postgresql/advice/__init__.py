"""What can be wrong with a PostgreSQL database, as rules that are asked of its catalogs and statistics.

* `indexes`, `tables`, `columns`   what the schema and its use tell
* `sessions`, `server`             what goes on, and what the counters of the server tell
* `settings`                       what is set
* `statements`                     what pg_stat_statements tells
* `port`                           these asked of a database
"""
