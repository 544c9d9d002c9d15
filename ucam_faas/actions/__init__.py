"""Actions that commands and pages share: on jobs, lanes and schedules; publishing messages.

Nothing here prints, reads a command line or finds a local cloud: the callers do.
"""
