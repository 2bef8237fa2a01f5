"""Run `python -m convert ARGUMENTS` where neither TensorFlow nor Keras can be imported."""

from __future__ import annotations

import sys

sys.modules["tensorflow"] = sys.modules["keras"] = None  # type: ignore[assignment]  # import fails

from convert.__main__ import main  # noqa: E402

sys.exit(main())
