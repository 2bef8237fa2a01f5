"""Names that options, settings and files share, and names of a package that are imported late.

Importing this costs nothing.
"""

import sys

TYPE_CHECKING = False  # as in typing, which takes milliseconds to import
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# Runtimes in order of preference: litert is the maintained one, and the faster on x86-64.
RUNTIMES = {"litert": "ai_edge_litert", "tflite": "tflite_runtime"}  # their modules
PACKAGES = {"litert": "ai-edge-litert", "tflite": "tflite-runtime"}
RESIZES = ("squash", "crop", "pad")
FILTERS = ("antialias", "bilinear", "nearest")
TUNED = "tuned.json"  # what edge-benchmark --apply writes
TURNS = (0, 90, 180, 270)  # degrees clockwise

# Schema numbers of the JSON documents that other programs parse (docs/formats.md has the keys). One
# is raised when a key is removed or changes its meaning, not when one is added.
RESULT_SCHEMA = 1  # edge-classify, edge-watch, latest.json, snapshots, /frame.json
PAGE_SCHEMA = 1  # /latest.json, /history.json and /events.json of the live page
MQTT_SCHEMA = 1
HISTORY_SCHEMA = 1  # /history/events.json and hours.json, edge-watch --history
COMMAND_SCHEMA = 1  # a command in the record of edge-watch
BENCHMARK_SCHEMA = 2  # edge-benchmark, and its saved baselines
TUNED_SCHEMA = 2  # what edge-benchmark --apply writes
DOCTOR_SCHEMA = 1
CHECK_SCHEMA = 1  # python -m convert check --format json
CARD_SCHEMA = 1  # card.json
EDGE_JSON_SCHEMA = 1  # edge.json in a model file
SCORE_DIGITS = 6  # of a score in JSON


def lazily(
    package: str, public: "Sequence[str]", modules: "Mapping[str, Sequence[str]]"
) -> "tuple[Callable[[str], object], Callable[[], list[str]]]":
    """Return `__getattr__` and `__dir__` of a package.

    Args:
        package: its name.
        public: all its public names.
        modules: by a module's name those public names that are imported from it.
    """
    where = {name: module for module, names in modules.items() for name in names}

    def find(name: str) -> object:
        if name not in where:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        from importlib import import_module

        found: object = getattr(import_module(where[name]), name)
        setattr(sys.modules[package], name, found)  # it is not looked for again
        return found

    return find, lambda: sorted(public)
