"""Where results go: each sink is a callable that takes a Result, and may have close()."""
