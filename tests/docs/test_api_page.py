"""The page of the Python API says what the docstrings say, and holds its names and signatures still; DBOPS_UPDATE=1 writes it."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import os
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import dbops

PAGE = Path(__file__).parents[2] / "specs" / "api.md"

HEAD = """\
# Python API

Every public name of `dbops`, generated from its docstring. `from dbops import NAME` loads only what the name needs. A plain
value of an enumeration does wherever the enumeration is expected.
"""


def page() -> str:
    modules: dict[str, list[str]] = {}
    for name in dbops.__all__:
        if (home := dbops._HOMES.get(name)) is not None:
            modules.setdefault(home, []).append(name)
    parts = [HEAD]
    for module in sorted(modules, key=lambda name: (name != "dbops.api.db_manager", name)):
        parts.append(f"## {module}\n\n{text_of(import_module(module))}\n")
        parts += [entry(name, getattr(dbops, name)) for name in modules[module]]
    return "\n".join(parts)


def entry(name: str, what: Any) -> str:
    """Return what the page says of one name."""
    if getattr(what, "__name__", name) != name:
        return f"### {name}\n\nThe same as `{what.__name__}`.\n"
    if not inspect.isclass(what):
        return f"### {name}\n\n```python\n{signature(name, what)}\n```\n\n{text_of(what)}\n"
    lines = [f"### {name}\n\n```python\nclass {constructor(name, what)}\n```\n\n{text_of(what)}\n"]
    if issubclass(what, enum.Enum):
        lines.append("\n".join(f"* `{one.name}` = `{one.value!r}`" for one in what) + "\n")
    for method, value in vars(what).items():
        if method.startswith("_"):
            continue
        if isinstance(value, property):
            lines.append(f"**`{method}`**\n: {text_of(value)}\n")
        elif inspect.isfunction(value) or isinstance(value, classmethod):
            lines.append(f"```python\n{signature(method, getattr(what, method))}\n```\n\n{text_of(value)}\n")
    return "\n".join(lines)


def constructor(name: str, what: type) -> str:
    if issubclass(what, enum.Enum):
        return f"{name}(Enum)"
    if dataclasses.is_dataclass(what):
        shown = [field for field in dataclasses.fields(what) if field.init and not field.name.startswith("_")]
        return f"{name}:\n" + "\n".join(f"    {field.name}: {field.type}{default(field)}" for field in shown)
    return signature(name, what)


def default(field: Any) -> str:
    if field.default is not dataclasses.MISSING:
        return f" = {field.default!r}"
    if field.default_factory is not dataclasses.MISSING:
        return f" = {getattr(field.default_factory, '__qualname__', '...')}()"
    return ""


def signature(name: str, what: Any) -> str:
    return name + str(inspect.signature(what)).replace("'", "")


def text_of(what: Any) -> str:
    text = inspect.getdoc(what) or ""
    return re.sub(r"^(\w+):\n((?: {4}.*(?:\n|$))+)", raised, text, flags=re.MULTILINE)


def raised(found: re.Match[str]) -> str:
    """Write a `Raises:` block as a list."""
    lines = re.sub(r"\n {5,}", " ", found[2]).splitlines()
    return f"{found[1]}:\n\n" + "\n".join(f"* {line.strip()}" for line in lines)


def test_the_page_of_the_api_is_fresh() -> None:
    if os.environ.get("DBOPS_UPDATE"):
        PAGE.write_text(page(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_public_name_says_what_it_is() -> None:
    for name in dbops.__all__:
        what = getattr(dbops, name)
        if name == "__version__":
            continue
        assert inspect.getdoc(what), name
        for method, value in vars(what).items() if inspect.isclass(what) else ():
            if inspect.isfunction(value) and not method.startswith("_"):
                assert inspect.getdoc(value), f"{name}.{method}"


def test_the_page_of_the_api_is_found_from_the_readme() -> None:
    assert "(specs/api.md)" in (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
