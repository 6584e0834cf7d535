"""Live state written back into the source of a schema: what it should say then, the edits, and the proof that they say it.

* `accepting`                      the door, for any kind of source
* `goal`                           accepted differences as the catalog that the source must come to mean
* `proof`                          the engine reads an edited source
* `sql_source`                     attempts at SQL files; `attempt` what one knows, `objects` and `tables` what it edits
* `texts`, `matching`              files edited a piece at a time; which piece speaks of which object
* `rendered`, `parts`              where accepted text comes from, and in which form it fits
* `table_source`                   portable tables in their manifest

Nothing here writes files.
"""
