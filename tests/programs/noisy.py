"""Say what TensorFlow says as it is imported, and a fault; end by the signal of argv[1]."""

from __future__ import annotations

import os
import sys

from convert.training.noise import filtered_stderr

with filtered_stderr():
    os.write(2, b"I0000 port.cc:153] oneDNN custom operations are on. You may see\n")
    os.write(2, b"E0000 cuda_platform.cc:52] failed call to cuInit: UNKNOWN ERROR (303)\n")
    os.write(2, b"F0000 the processor lacks AVX2\n")
    if len(sys.argv) > 1:
        os.kill(os.getpid(), int(sys.argv[1]))
print("after", file=sys.stderr)
