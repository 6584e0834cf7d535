"""The loop between what should be true and what is: observe, diff, plan, apply.

* `resource`   the protocol every manifest kind fills
* `change`     what differs, with its place in the manifests
* `step`       what will be done about it: statements or a named call, as data
* `plan`       changes with their steps, bound to what was observed; a JSON document
* `planner`    builds a plan
* `policy`     which hazards stop an apply
* `executor`   runs a plan's steps under a journal
* `fleet`      many databases of one plan, and how many of them may fail

It knows the protocol, the order of things and approval. It must never know what a table or a backup is.
"""
