"""One folder per manifest kind, the same file names in each.

`spec` what a manifest may say, `model` what it means, `diff` and `steps` the pure middle, `resource` the protocol filled.
Kinds are strangers to each other; what they share stands in the rooms below them.
"""
