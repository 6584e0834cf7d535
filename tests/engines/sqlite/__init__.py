"""SQLite on real files."""
