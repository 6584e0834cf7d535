"""The Schema kind: tables, views, routines and everything else a database's structure is made of.

* `spec`        what the manifest may say
* `model`       what it means: the source, the scope, the policy
* `sources`     SQL files, SQLAlchemy models or portable tables turned into statements
* `canonical`   statements turned into a catalog by the engine itself, on a scratch database
* `cache`       what was found out before: canonical catalogs, findings
* `verdict`     the finding that nothing differs, which spares a plan all that follows
* `observing`, `observed`   live, desired and last applied catalogs side by side; typed changes
* `checking`    what can be known of a source without its server
* `remarks`     renames noted in SQL sources
* `renames`     renames asked for, and drops with adds that look like one
* `leniency`    what the policy lets live: unmanaged objects by kind, tolerated drift
* `diff`        observed against desired
* `steps`       changes into acts of the engine, acts into steps
* `rehearsal`   the steps run on a copy
* `resource`    the protocol of `dbops.reconcile`, filled
"""
