"""A server that folds the names of tables, as on Windows (lower_case_table_names = 1)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dbops.usecases.apply import Consent, apply
from dbops.usecases.history import undo
from dbops.usecases.plan import plan
from dbops.usecases.runtime import open_workspace
from tests.servers import MysqlServer
from tests.servers.alone import alone
from tests.servers.mysql_makes import chosen_make

pytestmark = pytest.mark.campaign

ALLOWED = Consent(lambda _: True, allow=("all",))
SOURCE = """
CREATE TABLE Customers (Id int PRIMARY KEY, Name varchar(20));
CREATE TABLE Orders (Id int PRIMARY KEY, Customer int, Total int, CONSTRAINT Fk FOREIGN KEY (Customer) REFERENCES Customers (Id));
CREATE VIEW Totals AS SELECT c.Name, SUM(o.Total) AS Total FROM Customers AS c JOIN Orders AS o ON o.Customer = c.Id GROUP BY 1;
CREATE TRIGGER OrdersBI BEFORE INSERT ON Orders FOR EACH ROW SET NEW.Total = COALESCE(NEW.Total, 0);
"""


@pytest.fixture
def server() -> Iterator[MysqlServer]:
    if chosen_make().name != "mariadb":
        pytest.skip("MySQL takes this setting only when its data directory is made")
    with alone(MysqlServer, {"lower_case_table_names": "1"}) as made:
        yield made


def test_sources_in_any_case_come_to_rest_and_their_remarks_are_found(
    server: MysqlServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    name, folder = server.new_database("folded"), tmp_path / "env"
    folder.mkdir()
    (folder / "env.yaml").write_text(f"""\
apiVersion: dbops/v1
kind: Connection
metadata: {{name: shop}}
spec: {{url: '{server.url(name)}'}}
---
apiVersion: dbops/v1
kind: Schema
metadata: {{name: shop}}
spec: {{connection: shop, source: {{sql: [shop.sql]}}}}
""")

    def applied(sql: str) -> str:
        (folder / "shop.sql").write_text(sql)
        with open_workspace(folder) as workspace:
            done = apply(workspace, ALLOWED)
        with open_workspace(folder) as workspace:
            assert not plan(workspace).entries
        return done.apply_id or ""

    applied(SOURCE)
    server.rows(name, "INSERT INTO customers VALUES (1, 'Ann')")
    assert applied(SOURCE.replace("TABLE Customers", "TABLE CUSTOMERS")) == ""
    renamed = SOURCE.replace("Customers", "Clients").replace(
        "CREATE TABLE Cl", "-- dbops:renamed_from Customers\nCREATE TABLE Cl"
    )
    last = applied(renamed)
    assert server.rows(name, "SELECT Name FROM clients") == [("Ann",)]
    with open_workspace(folder) as workspace:
        undo(workspace, last, ALLOWED)
    assert server.rows(name, "SELECT Name FROM customers") == [("Ann",)]
