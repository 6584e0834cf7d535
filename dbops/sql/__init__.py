"""SQL as text: what can be known of it without a database.

* `statement`, `hazard`   one statement as data, and what may go wrong when it runs
* `dialect`, `keywords`   how each engine's SQL is spelled: quotes, comments, escapes, reserved words
* `lexer`                 where quoted text and comments end
* `tokens`                words and symbols; comments stripped; the normal form that hashes compare
* `splitter`, `patterns`  a script as the statements it holds, each with its place
* `programs`, `modes`     what the splitter must know: bodies that hold semicolons, settings that change the spelling
* `redact`                text without passwords
* `reader`                a statement's tokens read from left to right
* `segments`, `subjects`  the parts of CREATE TABLE and ALTER TABLE; which objects a statement speaks of
* `script`                statements below each other

Nothing here parses: no grammar, no engine, no connection.
"""
