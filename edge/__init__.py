"""Classify images with a .tflite file that explains itself.

    from edge import Model, classify, photos

    with Model() as model:
        for frame in photos(["photos"]):
            print(frame.source, classify(model, frame).label)

`Model().scores("photo.jpg")` gives the scores alone. What can go wrong is an EdgeError.
"""

# Each name is imported when it is first used: `edge-classify --help` needs no numpy.
TYPE_CHECKING = False  # as in typing, which takes milliseconds to import
if TYPE_CHECKING:
    from edge.classifier.classify import Category, Result, classify
    from edge.classifier.model import Model
    from edge.errors import (
        ConfigurationError,
        EdgeError,
        ImageError,
        ModelError,
        RuntimeMissingError,
        SourceError,
    )
    from edge.image.framing import Framing
    from edge.image.preprocess import Normalization, read_image
    from edge.sources.ahead import ahead
    from edge.sources.frame import Frame
    from edge.sources.photos import photos

__version__ = "0.2.0"
__all__ = [
    "Category",
    "ConfigurationError",
    "EdgeError",
    "Frame",
    "Framing",
    "ImageError",
    "Model",
    "ModelError",
    "Normalization",
    "Result",
    "RuntimeMissingError",
    "SourceError",
    "__version__",
    "ahead",
    "classify",
    "photos",
    "read_image",
]
_MODULES = {
    "edge.classifier.classify": ("Category", "Result", "classify"),
    "edge.classifier.model": ("Model",),
    "edge.errors": tuple(name for name in __all__ if name.endswith("Error")),
    "edge.image.framing": ("Framing",),
    "edge.image.preprocess": ("Normalization", "read_image"),
    "edge.sources.ahead": ("ahead",),
    "edge.sources.frame": ("Frame",),
    "edge.sources.photos": ("photos",),
}

try:
    from edge.names import lazily
except ImportError:  # a power cut has emptied it: each command reports that, if it can be imported
    pass
else:
    __getattr__, __dir__ = lazily(__name__, __all__, _MODULES)
