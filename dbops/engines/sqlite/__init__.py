"""SQLite from 3.37: reaching a file, reading its schema, writing its statements.

How an object looks in a catalog read from SQLite (inspection writes it so, rendering relies on it):

* `Column.type` and `default` are exactly what `PRAGMA table_xinfo` shows. `identity` is `Identity("autoincrement")`; options are
  `not_null_name` and `not_null_on_conflict`. `Table.options` are `strict` and `without_rowid`, each "true".
* A constraint without a name is called by its columns, `(a,b)`; names that occur twice get `#2`, and then, if they are the
  source's own, stand in `options` as `name`. Further options: `on_conflict`, and `keys` where a key has an order or collation.
* Expressions (checks, generated columns, indexes) are canonical: columns as declared, keywords in upper case, functions in lower
  case, no comments. White space around operators stays, as it does in the database.
* `View.definition` is the query, `options` hold `columns` where the view names them; `Trigger.definition` is the whole statement;
  `VirtualTable.definition` is `USING module(arguments)`. Quotes around names of tables and columns that are used go, others may
  be strings. Case of names stays: result columns are called by them.
* `spelling` is the statement as SQLite keeps it, and what is written again while it still says the same.
* Dependencies: views and triggers need the tables and columns that SQLite says they reach; one that does not compile has no
  entry. Foreign keys need the table they refer to.

* `connect`, `lock`, `scratch`, `fingerprint`   sessions, and what can be asked of a file cheaply
* `foreign_keys`, `bystanders`, `statistics`    what a transaction that changes the schema watches over
* `tokens`, `reader`, `parse`, `statements`     the texts that SQLite keeps, taken to pieces
* `shown`, `inspect`, `dependencies`            a database as a catalog
* `capture`                                     a database as a text, of which a catalog can be made later
* `load`                                        a source run on a scratch database
* `ddl`                                         objects as CREATE statements
* `render`, `renames`, `handed_on`, `tables`, `state`, `rebuild`, `archive`, `virtual`, `hazards`   changes as acts
"""
