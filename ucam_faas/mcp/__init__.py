"""`ucam-faas mcp`: the backends as tools of the Model Context Protocol, for coding agents.

A tool is a class: an agent reads its docstring and fields, and `run` asks the backends. Nothing
here decides what is possible; the rooms below do.
"""
