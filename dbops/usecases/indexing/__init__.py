"""Which indexes the statements of a database want: read from their texts, tried where nothing is changed, and told with costs.

* `reading`     a statement's text to the columns it looks for, joins and sorts by (sqlglot)
* `candidates`  these to indexes that might help, without those that are there already
* `choosing`    which of them the planner takes, and what that saves
* `trying`      where they are tried: hypothetically on the live database, or on a scratch with a sample of the rows
* `advice`      these joined, as findings of a rule
"""
