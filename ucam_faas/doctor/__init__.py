"""`ucam-faas doctor`: look at what tasks need on this machine, and say what is wrong with it.

Each module looks at one part, and yields findings: what is there, or what is wrong and its remedy.
Nothing is changed. `examination` puts the parts in order.
"""
