"""Monitoring for programs: databases by their URL or a workspace's connection, and numbers that programs bring themselves.

* `places`      from a name or a URL to the one database that is meant
* `moments`     what was seen of a database, moment by moment
* `judging`     which rules these numbers break
* `statements`  statements that programs time, and those that servers count
* `advising`    what would make a database quicker or safer, and what of it is done without risk
* `summary`     the usual figures of many numbers
"""
