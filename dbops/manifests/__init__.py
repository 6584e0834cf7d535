"""YAML turned into typed manifests that remember file, line and column.

* `document`     one YAML document: plain values, and the place of every key and value
* `loader`       the text of a file turned into documents
* `folder`       which files of a folder belong to an environment
* `envelope`     apiVersion, kind, metadata and spec of a document
* `overlay`      environments that extend others: variables and patches
* `variables`    `${NAME}` in values
* `spec`         what the spec of every kind is built of: base model, references, selectors, durations, sizes
* `hazard_code`  codes of hazards as values
* `secrets`      passwords and keys, named in manifests and resolved when used
* `validation`   what pydantic found, in words and with places
* `references`   manifests that name other manifests
* `environment`  the door: `load_environment`
* `jsonschema`   schemas for editors
* `writing`      data as the YAML of a manifest
* `editing`      lists in a manifest changed, comments kept

No kind is known here: kinds come in as a mapping from their names to the models of their specs.
"""
