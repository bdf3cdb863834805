"""Work that takes longer than a request should: the queue of runs, and what can be run."""
