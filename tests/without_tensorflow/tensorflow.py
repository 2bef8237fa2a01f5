"""In TensorFlow's place where `make test-quick` runs: a test that needs it must not be chosen.

tests/selection.py tells by the modules that a test imports, and by the programs that it names.
"""

raise ImportError("no TensorFlow in make test-quick; tests/selection.py chose this test")
