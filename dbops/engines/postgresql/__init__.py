"""PostgreSQL 13 to 18: reaching it, reading its catalogs, writing its statements.

How an object looks in a catalog read from PostgreSQL (inspection writes it so, rendering relies on it):

* Everything is read under an empty search_path, so every text of the server names its objects in full.
* `Column.type` is format_type, `default` and every expression pg_get_expr. An identity column holds its sequence; a serial
  column is a default `nextval(...)` and a `Sequence` whose `owned_by` is `Ref("column", schema, column, table)`.
* `Column.options` (sorted, only what is not the default): `storage`, `compression`, `statistics`, attribute options
  (`n_distinct`, ...), `fdw:NAME` on foreign tables, `("inherited", "true")` for columns that come from a parent,
  `not_null_name`, `not_null_no_inherit`, `not_null_not_valid` (PostgreSQL 18).
* Constraints, indexes, triggers, policies and rules have `parent` set; those a parent table hands down are left out. What
  belongs to a constraint's index (reloptions, `tablespace`, `clustered`, `index_comment`) is in `Constraint.options`, as are
  `enforced` and `period` (PostgreSQL 18). `Table.replica_identity` names an index as `index NAME`.
* An index or key of a partition that is attached to one of the parent is left out when the parent makes it just so: under a
  name the server chooses, with the parent's storage. Otherwise an index has `partition_of`, a key the option `partition_of`
  with the name of the parent's key.
* `Table.options`: reloptions, `toast.NAME`, `tablespace`. `partition_by.expression` is the key list without the strategy.
* `View.definition` is the query without `;`. Options of views and materialized views: reloptions, `default:COLUMN` for defaults
  of view columns, `comment:COLUMN`, `column:COLUMN:OPTION` for storage and statistics of a materialized view's columns.
* `Routine.name` is `name(argument types)`, the option `identity` of an aggregate what DROP AGGREGATE wants in parentheses. Names
  of operators are `+(integer, integer)`, of casts `(source AS target)`, of operator classes and families `name USING method`,
  of user mappings `role SERVER server`, of transforms `type LANGUAGE language`: SQL already, where quotes are needed.
* `Defined.definition` is complete: several statements, separated by `;` and a line end, where PostgreSQL needs several. Default
  privileges are called `role ON TABLES`; their option `revert` are the statements that take the definition back.
* Schema `public` is in every catalog in which it exists (make it IF NOT EXISTS); plpgsql only when it is not as delivered.
* `grants` None is the server's default: PUBLIC has EXECUTE on routines, USAGE on types and languages, nobody but the owner
  anything else. Otherwise all grants but the owner's full set; an owner that gave up privileges appears as grantee `""` with
  what is left to it, `NONE` when nothing is.
* Dependencies: both a table and its column (`Ref("column", schema, column, table)`) need what the column's type, default or
  expression uses. The sequence of a serial column does not need the column: ownership is set after both exist. Keys and
  constraint indexes are the constraint, row and array types the table or type, parts of extensions `Ref("extension", "", name)`.
"""
