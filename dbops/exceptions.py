"""The base of every error, where older programs look for it."""

from dbops.errors import CodomyrmexError, DbopsError

__all__ = ["CodomyrmexError", "DbopsError"]
