"""One use case per command of `dbops backup`.

* `policies`   which policy is meant, on which connection, with everything opened
* `elsewhere`  a storage by itself, without an environment
* `run`        make what is asked for, or what is due
* `look`       list and show
* `restore`    bring a chain back, after it was checked and what stood there was saved
* `verify`     prove backups, and keep the evidence
"""
