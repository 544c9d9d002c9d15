"""Processes that run the functions of tasks with `run_in_process=True`.

    thread of the Runner ─ Call ─► child: parse, function, decide ─ Answer ─► Decision

A child belongs to one task. It is a new interpreter, not a fork, and runs one call at a time. The
data of a message travels as bytes, and the function's result as JSON; the rest are values of this
package. A stop kills the child, and its death ends the one execution that it runs.
"""
