"""A trained network becomes .tflite files: converted, inspected, verified."""
