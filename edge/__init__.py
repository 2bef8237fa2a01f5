"""The device: classify pictures with a .tflite file that explains itself."""

__version__ = "0.1.0"
