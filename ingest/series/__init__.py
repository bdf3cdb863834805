"""What changes in time, as bureaus deliver it: moments, wide tables, SensorThings documents, trajectories."""
