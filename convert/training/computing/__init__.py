"""What a training computes on, and how precisely."""
