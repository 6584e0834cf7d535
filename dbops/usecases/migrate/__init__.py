"""migrate: versioned migrations by themselves.

* `sets`      which set of an environment is meant, and what its folder holds
* `extent`    how far a run goes
* `running`   up, down, redo: plans about migrations alone, carried out as apply does
* `status`    how each migration stands, with who, when and how long
* `naming`    what the next files are called
* `files`     new, lock: what is written into the folder
* `generate`  the migration that is missing between the migrations and the Schema
* `parts`     steps of a plan written as migrations, hazards as comments
* `squash`    a checkpoint in place of the first migrations
* `rows`      rows that migrations wrote, as statements
* `verify`    what the migrations do on a scratch database
* `tags`      what databases of earlier releases come to
* `lint`      the rules over the files of a set
* `adopt`     the history of another runner as a ledger
* `elsewhere` whether another runner has had a database before
* `direct`    a folder of JSON files on the database of a URL, without an environment
* `by_steps`  functions of a program as migrations
* `records`   baseline, resolve, verify --accept: what is written into the ledger alone
"""
