"""Take from edge and convert what another system lacks: EDGE_TEST_SYSTEM is macos or windows.

Python imports this at its start where PYTHONPATH leads here, so in child processes as well. Other
packages, and the standard library, believe that they run on Linux, and keep what they look for.
"""

import errno
import os
import signal
import sys
import time
from types import ModuleType

ON_LINUX = {
    os: ("sched_getaffinity", "sched_setaffinity", "memfd_create", "posix_fadvise", "eventfd"),
    time: ("CLOCK_BOOTTIME",),
}
ON_POSIX = {
    os: (
        *("fork", "forkpty", "getuid", "geteuid", "getgid", "getegid", "getgroups", "uname"),
        *("killpg", "setsid", "sysconf", "statvfs", "fstatvfs", "mkfifo", "getloadavg", "chown"),
    ),
    signal: (
        *("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGKILL", "SIGSTOP", "SIGCHLD", "SIGQUIT", "SIGALRM"),
        *("alarm", "setitimer", "pthread_sigmask"),
    ),
}
POSIX_MODULES = ("fcntl", "resource", "termios", "grp", "pwd", "pty", "tty", "syslog", "readline")
OURS = ("edge", "convert", "__main__")
OF_THE_KERNEL = ("/proc", "/sys")
STAT = os.stat


def take(module: ModuleType, names: tuple[str, ...]) -> None:
    """Remove attributes of a module for our code; a second call removes more."""
    kept = {name: getattr(module, name) for name in names if hasattr(module, name)}
    before = vars(module).get("__getattr__")

    def attribute(name: str) -> object:
        caller = sys._getframe(1).f_globals.get("__name__", "")
        if name in kept and caller.split(".")[0] not in OURS:
            return kept[name]
        if before and name not in kept:
            return before(name)
        raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

    for name in kept:
        delattr(module, name)
    module.__getattr__ = attribute


def check(path: object) -> None:
    """Nothing is below /proc and /sys."""
    if isinstance(path, (str, os.PathLike)) and os.fspath(path).startswith(OF_THE_KERNEL):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(path))


def stat(path: object, *args: object, **options: object) -> os.stat_result:
    """Find no file of the kernel."""
    check(path)
    return STAT(path, *args, **options)


def hook(event: str, args: tuple) -> None:
    """Open no file of the kernel, and list no folder."""
    if event in ("open", "os.listdir", "os.scandir") and args:
        check(args[0])


is_windows = os.environ["EDGE_TEST_SYSTEM"] == "windows"
for module in (os, signal, time):
    take(module, (*ON_LINUX.get(module, ()), *(ON_POSIX.get(module, ()) if is_windows else ())))
os.stat = stat
sys.addaudithook(hook)
if is_windows:
    sys.modules |= dict.fromkeys(POSIX_MODULES)
