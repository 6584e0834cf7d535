"""SQLAlchemy models as a source, on each engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dbops.errors import DbopsError
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
