"""Which file of a source an object is written to: folders by schema and kind, names that every file system takes.

`public/tables/orders.sql` holds a table with its keys, indexes, triggers, comments and the sequences that its columns own;
overloads of a function share a file. The path depends on the object's name, and on others only where two names would meet.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from dbops.catalog.catalog import Catalog
from dbops.catalog.model import Routine, Sequence
from dbops.catalog.ref import Ref
from dbops.usecases.inspect import Owners

_FOLDERS = {
    "enum": "types",
    "domain": "types",
    "composite_type": "types",
    "range_type": "types",
    "index": "indexes",
    "policy": "policies",
    "virtual_table": "tables",
    "text_search_dictionary": "text_search_dictionaries",
    "default_privileges": "default_privileges",
    "database": "database",
    "statistics": "statistics",
}

# Names that Windows keeps for devices, whatever follows the first dot ("Naming Files, Paths, and Namespaces", Win32 manual).
_DEVICES = re.compile(r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?=\.|$)", re.IGNORECASE)
_LONGEST_BYTES = 180
"""Below the 255 bytes of common file systems, with room for an ending and for file systems that add to names."""


def file_owners(refs: Iterable[Ref], catalog: Catalog) -> Mapping[Ref, Ref]:
    """Return the object whose file each of `refs` stands in: that of its table, also for a sequence that a column owns."""
    owners = Owners(catalog)
    found = {}
    for ref in refs:
        item = catalog.get(ref)
        owned_by = item.owned_by if isinstance(item, Sequence) else None
        owner = owners.of(owned_by) if owned_by else owners.of(ref)
        found[ref] = owner if owner in catalog else owners.of(ref)
    return found


def file_paths(refs: Iterable[Ref], catalog: Catalog) -> dict[Ref, str]:
    """Return the path of each object's file, relative to the folder of the source.

    Two objects whose paths differ in nothing that every file system tells apart get a mark of their own name; overloads
    stand together.
    """
    wanted: defaultdict[str, dict[str, list[Ref]]] = defaultdict(lambda: defaultdict(list))
    for ref in refs:
        path = object_path(ref, catalog)
        wanted[_folded(path)][_whole_name(ref)].append(ref)
    paths = {}
    for groups in wanted.values():
        for name, members in groups.items():
            for ref in members:
                path = object_path(ref, catalog)
                paths[ref] = path if len(groups) == 1 else _marked(path, name)
    return paths


def free_path(ref: Ref, taken: Collection[str], catalog: Catalog) -> str:
    """Return the path for one more object, beside files that are there already."""
    path = object_path(ref, catalog)
    known = {_folded(one) for one in taken}
    return path if _folded(path) not in known else _marked(path, _whole_name(ref))


def object_path(ref: Ref, catalog: Catalog) -> str:
    """Return the path of an object that nothing stands in the way of."""
    folder = f"{file_name(ref.schema)}/{_folder(ref, catalog)}" if ref.schema else _folder(ref, catalog)
    return f"{folder}/{file_name(_plain_name(ref))}.sql"


def file_name(name: str) -> str:
    """Return a name that every file system takes, equal to `name` where it is one; different names may get the same."""
    text = re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", name)).rstrip(".")
    text = f"_{text[1:]}" if text.startswith(".") else text  # a hidden file is no part of a source
    text = _DEVICES.sub(lambda found: f"{found[0]}_", text, count=1) if _DEVICES.match(text) else text
    if len(text.encode()) > _LONGEST_BYTES:
        short = text.encode()[: _LONGEST_BYTES - 9].decode("utf-8", "ignore")
        text = f"{short}-{_mark(name)}"
    return text or "_"


def _folder(ref: Ref, catalog: Catalog) -> str:
    item = catalog.get(ref)
    kind = item.flavour if isinstance(item, Routine) else ref.kind
    return _FOLDERS.get(kind, f"{kind}s")


def _plain_name(ref: Ref) -> str:
    """Return a name without the arguments that tell overloads apart."""
    return ref.name.split("(", 1)[0] if ref.kind == "routine" else ref.name


def _whole_name(ref: Ref) -> str:
    return f"{ref.kind} {ref.schema} {_plain_name(ref)}"


def _folded(path: str) -> str:
    """Return what paths share that a file system may take for one: macOS and Windows ignore case, macOS composes letters."""
    return unicodedata.normalize("NFKC", path).casefold()


def _marked(path: str, name: str) -> str:
    return f"{path.removesuffix('.sql')}-{_mark(name)}.sql"


def _mark(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:8]
