"""Which frames reach the loop, and what of them: pause, hours, motion, masks."""
