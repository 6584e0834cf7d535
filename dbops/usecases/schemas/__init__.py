"""schemas: portable tables of a program, written, compared and changed without a database.

* `tables`   what a program says of a table, in its own words, as a portable table
* `catalogs` portable tables as the objects an engine writes SQL for
* `changing` a schema that changes: the SQL there and back
* `live`     tables of a database, made, changed and read
* `comparing` what differs between two schemas, in lists
"""
