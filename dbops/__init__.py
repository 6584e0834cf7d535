"""dbops: GitOps for databases."""

from dbops.version import __version__

__all__ = ["__version__"]
