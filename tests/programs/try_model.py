"""Load a model, and say whether it was tried first.

Usage: python tests/programs/try_model.py MODEL RUNTIME [RUNTIME LOADED BEFORE]
"""

from __future__ import annotations

import sys

from edge.classifier.known import ensure_sound
from edge.classifier.model import Model

if sys.argv[3:]:
    Model(runtime=sys.argv[3])

ensure_sound(sys.argv[1] or None, sys.argv[2])
print("edge.classifier.trial" in sys.modules)
