#!/bin/sh
# A first environment on SQLite, from nothing to drift. Works on a copy in a temporary folder; needs `dbops` in PATH.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
cp -R "$here/../environments/01-first-table" "$room/shop"
cd "$room"

bold='' plain=''
if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
show() { printf '\n$ %s\n' "$*"; "$@"; }

say "1. A table is declared in shop/schema/customers.sql; there is no database yet."
show cat shop/schema/customers.sql
show dbops plan shop
show dbops apply shop --auto-approve

say "2. Some rows, written by an application, not by dbops."
python3 - <<'PYTHON'
import sqlite3

with sqlite3.connect("shop/shop.db") as conn:
    conn.execute("INSERT INTO customers (name) VALUES ('Ada'), ('Grace')")
PYTHON

say "3. The manifest changes: customers get an email, and there are orders. The plan is the way there."
cat >shop/schema/customers.sql <<'SQL'
CREATE TABLE customers (
  id    integer PRIMARY KEY,
  name  text NOT NULL,
  email text UNIQUE
);
SQL
cat >shop/schema/orders.sql <<'SQL'
CREATE TABLE orders (
  id          integer PRIMARY KEY,
  customer_id integer NOT NULL REFERENCES customers (id),
  total       numeric NOT NULL DEFAULT 0 CHECK (total >= 0)
);

CREATE INDEX orders_customer_id ON orders (customer_id);
SQL
show dbops plan shop
show dbops apply shop --auto-approve
show dbops plan shop

say "4. Somebody changes the database behind dbops's back: an index dropped, a column added."
python3 - <<'PYTHON'
import sqlite3

with sqlite3.connect("shop/shop.db") as conn:
    print("customers:", [name for (name,) in conn.execute("SELECT name FROM customers ORDER BY id")])
    conn.execute("DROP INDEX orders_customer_id")
    conn.execute("ALTER TABLE customers ADD COLUMN nickname text")
PYTHON

say "5. Drift says who moved. It exits with 2, so that a scheduled job notices."
printf '\n$ dbops drift shop\n'
code=0
dbops drift shop || code=$?
echo "(exit code $code)"
[ "$code" -eq 2 ]

say "6. Who did what, and when."
show dbops history shop

say "That is all: manifests in, databases kept true. Next: README.md, or dbops --help."
