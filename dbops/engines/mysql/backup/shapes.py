"""What the facts of backups of MySQL and MariaDB look like, so that a manifest by somebody else is told before it is used."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dbops.engines.base.shape import Shape, or_none

_SETTINGS = frozenset(
    {
        *("lower_case_table_names", "innodb_page_size", "character_set_server", "collation_server"),
        *("explicit_defaults_for_timestamp", "old_mode", "default_storage_engine", "character_set_collations"),
    }
)


def _is_settings(value: object) -> bool:
    """Tell whether a value has settings that a dump notes, and no others: a private server is started with them."""
    return isinstance(value, dict) and all(
        name in _SETTINGS and isinstance(one, int | str) and re.fullmatch(r"[\w,=]*", str(one)) for name, one in value.items()
    )


def _is_plugins(value: object) -> bool:
    """Tell whether a value has libraries of engines, which a private server loads from its own folder."""
    return isinstance(value, list) and all(isinstance(one, str) and re.fullmatch(r"[\w-]+", one) for one in value)


_POSITION: Mapping[str, Shape] = {
    "file": or_none(str),
    "offset": or_none(int),
    "gtid": or_none(str),
    "lsn": or_none(int),
    "began": or_none(int),
}
SHAPE: Mapping[str, Shape] = {
    "start": _POSITION,
    "end": _POSITION,
    "details": {
        **dict.fromkeys(("database", "character_set", "collation", "account", "flavour", "sql_mode"), str),
        "version": [int],
        "settings": or_none(_is_settings),
        "longest_statement": or_none(int),
        "begun_events": or_none([str]),
        "placed": or_none([str]),
        "comment": or_none(str),
        "zones": or_none(bool),
        "plugins": or_none(_is_plugins),
        "to_lsn": or_none(int),
        "files": or_none([(str, int, or_none(int))]),
    },
}
