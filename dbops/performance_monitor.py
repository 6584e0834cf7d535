"""The names of `dbops.api.performance_monitor`, where older programs look for them."""

from dbops.api.performance_monitor import (
    DatabaseMetrics,
    DatabaseMonitor,
    DatabasePerformanceMonitor,
    DatabaseStats,
    PerformanceAlert,
    PerformanceMonitor,
    QueryMetrics,
    SlowQuery,
    monitor_database,
    optimize_database,
)

__all__ = [
    "DatabaseMetrics",
    "DatabaseMonitor",
    "DatabasePerformanceMonitor",
    "DatabaseStats",
    "PerformanceAlert",
    "PerformanceMonitor",
    "QueryMetrics",
    "SlowQuery",
    "monitor_database",
    "optimize_database",
]
