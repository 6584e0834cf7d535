"""Backups at rest: how they are cut into parts, compressed, encrypted, hashed, named, listed, chained, kept and thrown away.

* `storage/`    six verbs on objects: a folder, S3, Google, Azure, SFTP
* `packages`    those that are needed, and which is missing
* `hashes`      BLAKE3
* `codec`       compression of blocks
* `encryption`  what every way to encrypt parts gives
* `aes`, `age`  the two ways: a symmetric key, or recipients; `pumps` are the threads that age needs
* `cipher`      which way it is: by a policy's keys, or by what a manifest says
* `notes`       evidence, holds and failures, each sealed
* `parts`       what streams are made of
* `writing`     a stream made into parts, hashed on the way
* `reading`     parts made into the stream again, and compared
* `manifest`    what one backup is; its presence is the commit
* `repository`  where everything lies, and what is there
* `index`       a local copy of the manifests, which can be thrown away
* `lease`       one writer at a time
* `chains`      which backups a restore needs
* `retention`   which backups are kept
* `verify`      what is stored compared with what the manifest says

It knows bytes and objects. It must never know what a database is. The format is on paper in `specs/backup-format.md`.
"""
