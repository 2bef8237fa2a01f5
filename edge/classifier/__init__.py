"""A .tflite file and its runtime: read, checked, invoked; its scores become a result."""
