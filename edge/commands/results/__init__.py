"""What edge-classify writes: results in several formats, summaries, and files that are resumed."""
