"""Jobs: one sending of a task each, as a row with a state, a history and a result."""
