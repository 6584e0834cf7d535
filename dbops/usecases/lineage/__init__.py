"""Where data comes from and where it goes: a graph of what is made of what.

* `model`   nodes and edges
* `graph`   the graph, walked without recursion, so that depth has no limit
* `store`   the graph in a file, line by line
* `impact`  what a change of one node reaches
"""
