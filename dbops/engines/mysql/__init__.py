"""MySQL 8 and MariaDB: one engine, whose differences are named in `flavour`.

The truth about a table is what SHOW CREATE TABLE says of it, for that is what the server itself promises to be complete;
`show_create` reads that text, `ddl` writes it, and `alter` turns the differences of one table into one ALTER TABLE.
"""
