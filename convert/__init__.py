"""The workstation: a folder of photos becomes a .tflite file that explains itself."""
