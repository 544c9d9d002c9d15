"""Shell completion: the candidates for a word, and the scripts of shells that ask for them.

It runs each time that you press Tab, so it imports neither commands nor tasks: `commands.json` has
the commands and their options (docs/generate.py writes it), and `.ucam-faas/tasks.json` the tasks
that `ucam-faas dev` served last.
"""
