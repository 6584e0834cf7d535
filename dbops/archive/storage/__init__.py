"""Objects by key: the port, and the storages behind it."""
