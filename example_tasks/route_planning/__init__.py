"""An example: a task that computes, in processes of its own."""
