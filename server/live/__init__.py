"""Live values: the hub that pushes them, the desk that knows what each means, the replay of the stored day."""
