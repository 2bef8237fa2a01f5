"""Names that options, settings and files share; importing them costs nothing."""

# Runtimes in order of preference: litert is the maintained one, and the faster on x86-64.
RUNTIMES = {"litert": "ai_edge_litert", "tflite": "tflite_runtime"}  # their modules
PACKAGES = {"litert": "ai-edge-litert", "tflite": "tflite-runtime"}
RESIZES = ("squash", "crop", "pad")
FILTERS = ("antialias", "bilinear", "nearest")
TUNED = "tuned.json"  # what edge-benchmark --apply writes
TURNS = (0, 90, 180, 270)  # degrees clockwise
