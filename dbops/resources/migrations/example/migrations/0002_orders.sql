-- dbops:depends 0001

-- migrate:up
CREATE TABLE orders (
  id          integer NOT NULL PRIMARY KEY,
  customer_id integer NOT NULL,
  CONSTRAINT orders_customer FOREIGN KEY (customer_id) REFERENCES customers (id)
);
CREATE INDEX orders_customer_id ON orders (customer_id);

-- migrate:down
DROP TABLE orders;
