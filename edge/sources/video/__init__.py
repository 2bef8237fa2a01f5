"""Video files and network cameras, decoded by PyAV in a process of its own."""
