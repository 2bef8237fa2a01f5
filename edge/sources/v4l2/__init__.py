"""USB webcams and other capture devices, by the kernel's own interface."""
