"""The kind BackupPolicy: what is promised of the backups of a database, and what is done to keep it.

* `spec`      what the YAML may say
* `model`     one policy on one connection, what stands in its repository, what differs
* `opening`   storage and keys fetched, the repository opened
* `choosing`  which mechanism makes which kind, or why none does
* `standing`  what stands in a repository, read
* `making`    a backup made, committed, or given up
* `proving`   stored bytes checked, a chain restored into a throwaway database and compared
* `moments`   when an entry of the schedule is due, by the clock of a place
* `due`       what is overdue, failing, unverified, over budget, at a moment
* `leading`   which chain leads to a moment or a point
* `progress`  how far a backup or restore has come
* `pruning`   what retention lets go, and its deletion
* `keeping`   these done under the lease of the repository
* `remarks`   what no step changes and people should know
* `resource`  these joined to the resource protocol
"""
