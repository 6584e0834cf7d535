"""Results as text: each view is a pure function from a use case's result to a string.

Text views are styled with ANSI codes; what writes them strips the codes where there is no terminal.
"""
