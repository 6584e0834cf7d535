"""Private throw-away PostgreSQL and MariaDB (or MySQL) servers, for tests, measurements and acceptance runs.

    with Lease.take() as lease:
        postgres = lease.postgres()     # started now, at its first use
        name = postgres.new_database()
        postgres.psql(name, "CREATE TABLE t (id int)")

* `lease`       who holds the servers, and the keeper process that ends them with their holder, however that ends
* `programs`    where the server and client programs are; which packages to install where they are missing
* `releases`    PostgreSQL of other major versions, fetched from package registries
* `postgresql`, `mysql`   how one server is made, reached and read
* `mysql_makes`, `mysql_features`   MariaDB or MySQL, and what a server of either can do

Nothing here knows dbops or pytest; drivers are imported where they are used, so that asking for missing packages needs
only the standard library.
"""

from tests.servers.lease import Lease
from tests.servers.mysql import MysqlServer
from tests.servers.postgresql import PostgresServer
from tests.servers.programs import ServerError
from tests.servers.releases import RELEASES, NotToBeHad

__all__ = ["RELEASES", "Lease", "MysqlServer", "NotToBeHad", "PostgresServer", "ServerError"]
