"""MySQL and MariaDB: behaviour as case files, and what is asked of a server only once."""
