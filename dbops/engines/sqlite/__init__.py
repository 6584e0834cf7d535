"""SQLite: reaching a file, reading its schema, writing its statements."""
