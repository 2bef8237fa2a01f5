"""Run a module of ours in its own process: its output, or why it failed."""

from __future__ import annotations

import atexit
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence

from edge import child
from edge.errors import one_line

_DYING = re.compile("Check failed|LLVM ERROR|terminate called|bad_alloc")


def run_module(
    module: str, *arguments: str, timeout_s: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a module by its name, output captured. Raises: subprocess.TimeoutExpired."""
    command = child.python("-m", module, *arguments)
    return subprocess.run(
        command, capture_output=True, text=True, env=child.environment(), timeout=timeout_s
    )


class Server:
    """A module that imports what is slow to import once, and runs each call in a fork of itself."""

    def __init__(self, module: str) -> None:
        """Args: the module's name; with --serve it calls `serve`."""
        self._module = module
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Begin to import; a call waits for it."""
        if self._process is None:
            command = child.python("-m", self._module, "--serve")
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # messages of imports do not matter
                text=True,
                env=child.environment(),
                process_group=0,  # whose end is this process's business, not the terminal's
            )
            atexit.register(self.close)

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the module's main once, standard error captured."""
        self.start()
        process = self._process
        assert process and process.stdin and process.stdout
        try:
            print(json.dumps(arguments), file=process.stdin, flush=True)
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        except BaseException:  # Ctrl-C: not after a conversion that may take minutes
            os.killpg(process.pid, signal.SIGKILL)
            self.close()
            raise
        if answer:
            status, said = json.loads(answer)
        else:  # it died in its imports
            self.close()
            status, said = process.returncode, ""
        return subprocess.CompletedProcess(arguments, status, stderr=said)

    def close(self) -> None:
        """End it."""
        process, self._process = self._process, None
        if process:
            atexit.unregister(self.close)
            process.communicate()  # it ends with its input


def serve(main: Callable[[Sequence[str]], int]) -> int:
    """Read calls from standard input, and run each in a fork; the server's side of `Server`."""
    for line in sys.stdin:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            _run_fork(main, json.loads(line), writing)
        os.close(writing)
        with open(reading, errors="replace") as errors:
            said = errors.read()
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print(json.dumps([status, said]), flush=True)
    return 0


def _run_fork(main: Callable[[Sequence[str]], int], arguments: Sequence[str], errors: int) -> None:
    """Run a call, and end this process without what its parent would clean up."""
    status = 1
    try:
        for stream in (1, 2):  # native code's words too
            os.dup2(errors, stream)
        status = main(arguments)
        sys.stderr.flush()
    finally:
        os._exit(status)


def last_words(done: subprocess.CompletedProcess[str]) -> str:
    """Return why a process failed: its last line, or the signal of native code; one line."""
    lines = done.stderr.strip().splitlines()
    if done.returncode >= 0:
        return one_line(lines[-1]) if lines else f"the process ended with {done.returncode}"
    name = signal.Signals(-done.returncode).name
    if name == "SIGKILL":
        return "its process was killed, probably for lack of memory"
    cause = next((line for line in lines if _DYING.search(line)), "without a message")
    return one_line(f"its process crashed with {name}: {cause}")
