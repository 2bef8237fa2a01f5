"""The service: its loop, what steadies its results, its sinks, its configuration."""
