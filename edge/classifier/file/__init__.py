"""A .tflite file as it is stored: its tables, read within bounds, and its graph."""
