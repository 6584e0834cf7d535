"""From typed changes of PostgreSQL objects to acts: statements with hazards and undo, in an order in which they run.

* `acts`       the way through: order, statements, undo, archive
* `ordering`   what cannot be altered in place, what makes way for what; `needs` the dependencies PostgreSQL does not record,
               kept in a `graph`, with `bodies` of functions and `adoption` of partitions' indexes; `folding` what its
               statements do by themselves
* `objects`    every kind of object by its class; the statements stand in one file per subject: `tables`, `columns`,
               `constraints`, `indexes`, `views`, `sequences`, `types`, `routines`, `security`, `others`, `parts`
* `retype`     types built anew under their columns; `conversion` what a change of type does to values
* `hazards`    locks, scans and rewrites; `scene` the catalogs, the version, the sizes
* `publications`  what they send, and what of it forbids to change rows
* `names`, `options`, `wording`   identifiers, literals, lists of parameters, expressions
"""

from __future__ import annotations

from dbops.engines.postgresql.render.acts import render

__all__ = ["render"]
