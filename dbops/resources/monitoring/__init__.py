"""What is watched in a database: figures out of what an engine counts.

* `figures`   what is kept of a look: gauges, rates of counters, ratios
"""
