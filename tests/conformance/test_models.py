"""SQLAlchemy models as a source, on each engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer

from dbops.errors import DbopsError
from dbops.resources.schema.bases import get_database_base
from dbops.usecases.apply import Consent, apply
from dbops.usecases.plan import plan
from dbops.usecases.runtime import open_workspace
from tests.databases import Database

MANIFEST = """\
apiVersion: dbops/v1
kind: Connection
metadata: {{name: shop}}
spec: {{url: {url}}}
---
apiVersion: dbops/v1
kind: Schema
metadata: {{name: shop}}
spec:
  connection: shop
  source: {{models: {models}}}
"""

MODELS = '''\
"""Models of a shop."""
import enum
from datetime import datetime

from sqlalchemy import Enum, ForeignKey, Index, Numeric, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class State(enum.Enum):
    open = "open"
    paid = "paid"


class Customer(Base):
    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(200), unique=True)
    joined: Mapped[datetime | None]


class Order(Base):
    __tablename__ = "orders"
    __table_args__ = (UniqueConstraint("customer_id", "number"), Index("orders_total", "total"))
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id", ondelete="CASCADE"))
    number: Mapped[int]
    total: Mapped[float] = mapped_column(Numeric(10, 2), server_default="0")
    state: Mapped[State] = mapped_column(Enum(State, name="order_state"))
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    folder = tmp_path / "env"
    (folder / "app").mkdir(parents=True)
    (folder / "app" / "db_models.py").write_text(MODELS)
    return folder


def write(folder: Path, database: Database, models: str) -> None:
    (folder / "env.yaml").write_text(MANIFEST.format(url=json.dumps(database.url), models=models))


@pytest.mark.parametrize("models", ['{paths: ["app/**/db_models.py"]}', '{import: "app.db_models:Base"}'])
def test_models_are_applied_and_plan_clean(folder: Path, database: Database, models: str) -> None:
    write(folder, database, models)
    consent = Consent(lambda _: True)
    with open_workspace(folder) as workspace:
        assert apply(workspace, consent).state == "done"
    with open_workspace(folder) as workspace:
        assert plan(workspace).is_empty
    (folder / "app" / "db_models.py").write_text(
        MODELS.replace(
            "    number: Mapped[int]\n", "    number: Mapped[int]\n    note: Mapped[str | None] = mapped_column(String(50))\n"
        )
    )
    with open_workspace(folder) as workspace:
        (entry,) = plan(workspace).entries
    assert entry.change.address.endswith("/column/note")


def test_models_that_cannot_be_imported_are_told(folder: Path, database: Database) -> None:
    for text, words in (("import no_such_module\n", "no_such_module"), ("x = 1\n", "no SQLAlchemy metadata")):
        (folder / "app" / "db_models.py").write_text(text)
        write(folder, database, "{paths: [app/db_models.py]}")
        with open_workspace(folder) as workspace, pytest.raises(DbopsError) as caught:
            plan(workspace)
        assert words in caught.value.explain() and "db_models.py" in caught.value.explain()


BASED = """\
from sqlalchemy import Column, ForeignKey, Integer, String
from dbops.resources.schema.bases import SQLiteJSON, get_database_base

DATABASE_NAME = "{name}"
Base = get_database_base("{name}")


class {cls}(Base):
    __tablename__ = "{table}"
    id = Column(Integer, primary_key=True)
    {more}
"""


class Own(get_database_base("shop")):  # type: ignore[misc]
    """The program's own model of a table that a file says too."""

    __tablename__ = "a"
    id = Column(Integer, primary_key=True)


def test_models_of_one_database_are_applied_without_those_of_another(folder: Path, database: Database) -> None:
    """Two modules share a database, and one imports the other; the program itself has one of them already."""
    (folder / "app" / "db_models.py").write_text(BASED.format(name="shop", cls="A", table="a", more="value = Column(SQLiteJSON)"))
    (folder / "app" / "more").mkdir()
    (folder / "app" / "more" / "db_models.py").write_text(
        "from app.db_models import A\n" + BASED.format(name="shop", cls="B", table="b", more="a_id = Column(ForeignKey(A.id))")
    )
    (folder / "app" / "other").mkdir()
    (folder / "app" / "other" / "db_models.py").write_text(BASED.format(name="bank", cls="C", table="c", more=""))
    write(folder, database, '{paths: ["app/**/db_models.py"], database: shop}')
    with open_workspace(folder) as workspace:
        assert apply(workspace, Consent(lambda _: True)).state == "done"
    with open_workspace(folder) as workspace:
        assert plan(workspace).is_empty
    assert "a" in database.dump() and "CREATE TABLE c" not in database.dump().replace("`", "").replace("public.", "")
    assert get_database_base("shop").metadata.tables["a"] is Own.__table__
    write(folder, database, '{paths: ["app/**/db_models.py"], database: none}')
    with open_workspace(folder) as workspace, pytest.raises(DbopsError, match="DATABASE_NAME = 'none'") as caught:
        plan(workspace)
    assert "bank, shop" in caught.value.explain()
