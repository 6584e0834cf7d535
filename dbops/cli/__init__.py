"""The command line: one file per verb, views that turn results into text.

* `main`      the `dbops` command: verbs by name, errors to messages and exit codes
* `verb`      what all verbs share: the environment argument, output formats, global flags
* `debug`     what `--debug` shows
* `terminal`  what happens on the screen besides results: approval, progress, notices
* `views/`    plans and reports as text, Markdown, SQL

A verb module is imported only when it runs. Nothing here decides anything: the use cases do.
"""
