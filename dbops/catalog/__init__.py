"""What a database contains, as plain data.

* `ref`      the name of an object
* `model`    the objects themselves, one vocabulary for all engines
* `catalog`  a whole database: objects, their dependencies, and what is seen but not managed
* `scope`    which objects are managed
* `changes`  typed differences between two catalogs, and `diff`, which finds them
* `order`    the sequence in which changes can be made
* `codec`    catalogs as JSON

Nothing here knows an engine, a connection or SQL beyond the expressions that engines report as text.
"""
