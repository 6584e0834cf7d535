"""The names of `dbops.api.connections`, where older programs look for them."""

from dbops.api.connections import (
    ConnectionFactory,
    ConnectionPool,
    HealthChecker,
    PoolConfig,
    PooledConnection,
    PoolStats,
)

__all__ = [
    "ConnectionFactory",
    "ConnectionPool",
    "HealthChecker",
    "PoolConfig",
    "PoolStats",
    "PooledConnection",
]
