"""What is watched in a database: figures out of what an engine counts, and the kind AlertPolicy.

* `figures`   what is kept of a look: gauges, rates of counters, ratios
* `spec`      what the YAML may say
* `packs`     ready-made rules
* `alerts`    rules held against figures: pending, firing, unknown; what is told, and again
* `watching`  a policy on a connection, held against one look
* `words`     numbers in the words of their units
* `promql`    rules in Prometheus's words
* `dashboard` figures as Grafana shows them
* `resource`  these joined to the resource protocol
"""
