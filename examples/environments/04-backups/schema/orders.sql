CREATE TABLE orders (
  id integer PRIMARY KEY,
  note text NOT NULL,
  placed_at text NOT NULL DEFAULT CURRENT_TIMESTAMP
);
