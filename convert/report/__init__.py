"""What a run found, as a page, tables and images."""
