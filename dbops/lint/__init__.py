"""Rules about SQL as text, offline: what a migration may break, and what a schema would better do otherwise.

* `facts`                 what a statement does: frozen facts
* `reading`, `tables`, `columns`   a statement's tokens as a fact; what is not known is `Other`, never an error
* `statements`            a file as statements that are read; parts that undo; runners that open a transaction
* `world`                 what the statements so far have made, what is new, what is in force
* `types`, `work`         which type changes keep rows as they are; which lock and work a change costs
* `rule`, `rules/`        what a rule is, and all of them, by what they look after
* `syntax`                what can be called an error without a grammar
* `allow`                 `-- dbops:allow CODE reason`
* `settings`, `check`     what a run is told, and the run itself

Knows no files, no YAML, no connection. A rule is silent where the text does not tell.
"""
