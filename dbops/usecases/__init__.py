"""What dbops does, one file per verb; `runtime` is the one place where kinds and engines are wired together.

Faces (command line, REST, agents, Python) translate to and from these and decide nothing themselves.
"""
