"""What keeps the process well: systemd, memory, rate and heat, trials of a new model."""
