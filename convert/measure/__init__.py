"""What scores on labelled photos are worth."""
