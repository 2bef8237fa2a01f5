"""What the service has seen over months: each state change, and hourly shares by label."""
