"""The Connection kind: where a database is, how it is reached, and that it exists.

* `spec`      what the manifest may say
* `target`    the manifest turned into what an engine needs, secrets resolved
* `resource`  the protocol of `dbops.reconcile`, filled: a missing database is created
"""
