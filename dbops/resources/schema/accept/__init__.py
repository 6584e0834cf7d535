"""Live state written back into the source of a schema: what it should say then, the edits, and the proof that they say it.

`goal` turns accepted differences into the catalog that the source must come to mean; `sql_source` and `table_source` edit
texts towards it, `matching` and `texts` serve the first of them; `proof` has the engine read the outcome. Nothing here writes
files.
"""
