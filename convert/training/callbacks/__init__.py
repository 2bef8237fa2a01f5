"""What happens between the steps of a training: Ctrl-C, and how long it will still take."""
