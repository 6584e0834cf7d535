"""Schemas of real projects, walked from version to version with rows in the database; nothing here is a test.

* `histories`   which schemas and version chains a folder holds, and how each is loaded by the engine's own client
* `reading`     a schema in the engine's own words, apart from the order of what has none
* `rows`        a few rows for every table that its constraints let in
* `contents`    the rows of a database, and whether another holds them still
* `walk`        apply, look, undo, look, apply again: from the first version to the last and back
* `roundtrip`   import, plan, build anew, compare
* `mutations`   a schema changed a little by the engine itself, and the way there and back
* `desk`        dbops as these use it: an environment of one connection and one schema
"""
