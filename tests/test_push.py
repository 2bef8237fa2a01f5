"""push.sh over a real ssh server; what install.sh then does is deploy/testbed's."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import ROOT

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
# It stands for the real one, which would install: it says what it was given, on both outputs.
INSTALL = """\
echo "installing in $PWD: $*" >&2
[ -s edge_classify-1.0-py3-none-any.whl ] && [ -s files ] && echo the files are whole
[ ! -e model.tflite ] || cksum <model.tflite
exit 7
"""
pytestmark = pytest.mark.skipif(
    SSHD is None, reason="sshd is not installed (Debian: apt install openssh-server)"
)


@dataclass(frozen=True)
class Device:
    """A home folder behind an ssh server that runs on its client's pipe, without a network."""

    root: Path

    @property
    def home(self) -> Path:
        """What a greeting may name, and what must survive it."""
        return self.root / "home"

    def environment(self, **more: str) -> dict[str, str]:
        return os.environ | {"EDGE_SSH": str(self.root / "ssh")} | more

    def push(
        self, *options: str, hosts: tuple[str, ...] = ("device",), **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Push a wheel to it, without a terminal."""
        return subprocess.run(
            self.command(*options, hosts=hosts),
            env=self.environment(**environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def command(self, *options: str, hosts: tuple[str, ...] = ("device",)) -> list[str]:
        wheel = str(self.root / "edge_classify-1.0-py3-none-any.whl")
        return ["sh", str(self.root / "deploy" / "push.sh"), *hosts, "--wheel", wheel, *options]

    def state(self) -> dict[str, tuple[int, ...]]:
        """Every file and folder with what changes when it, or a name in it, is touched."""
        paths = [self.home, *self.home.rglob("*")]
        return {str(p): (p.lstat().st_ino, p.lstat().st_ctime_ns, p.lstat().st_mode) for p in paths}

    def end_logins(self) -> None:
        """Kill shells that outlive their connection: a .bashrc may ask for ever."""
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if f"HOME={self.home}\0".encode() in (process / "environ").read_bytes():
                    os.kill(int(process.name), signal.SIGKILL)

    def left_in_tmp(self) -> list[Path]:
        return list((self.root / "tmp").iterdir())


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    """A device with things in its home that no one may touch."""
    made = Device(tmp_path)
    for folder in ("home/media/card", "home/home", "home/Welcome", "tmp"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "mine").write_text("mine") if folder != "tmp" else None
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    (tmp_path / "deploy" / "install.sh").write_text(INSTALL)
    (tmp_path / "edge_classify-1.0-py3-none-any.whl").write_bytes(os.urandom(300_000))
    for name in ("key", "host-key"):
        key = str(tmp_path / name)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    serve(made)
    yield made
    made.end_logins()


def serve(device: Device, *settings: str, **environment: str) -> None:
    """Write the server's configuration, and the ssh that reaches it."""
    root = device.root
    given = {"HOME": device.home, "TMPDIR": root / "tmp"} | environment
    lines = [
        f"HostKey {root}/host-key",
        f"AuthorizedKeysFile {root}/key.pub",
        "StrictModes no",
        "UsePAM no",
        "PermitRootLogin yes",
        "SetEnv " + " ".join(f"{name}={value}" for name, value in given.items()),
        *settings,
    ]
    (root / "sshd_config").write_text("\n".join(lines) + "\n")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    (root / "ssh").write_text(
        f"#!/bin/sh\necho $$ >{root}/ssh.pid\n"
        f"exec ssh -q -F /dev/null -i {root}/key -o StrictHostKeyChecking=no "
        f"-o UserKnownHostsFile=/dev/null -o 'ProxyCommand {SSHD} -i -f {root}/sshd_config' "
        '"$@"\n'
    )
    (root / "ssh").chmod(0o755)


def test_it_pushes_and_returns_what_install_returned(device: Device) -> None:
    model = device.root / "model 'of' mine.tflite"
    model.write_bytes(b"model")
    before = device.state()
    done = device.push("--model", str(model), "--with", "web", "--dry-run")
    assert done.returncode == 7
    assert "--model model.tflite --with web --dry-run" in done.stderr
    checksum = subprocess.run(["cksum"], input=b"model", capture_output=True, check=True).stdout
    assert done.stdout == f"the files are whole\n{checksum.decode()}"
    assert device.state() == before
    assert device.left_in_tmp() == []


# The host's name leads to the server here.
ALIAS = """\
#!/bin/sh
for word; do
    shift
    [ "$word" != pi@raspberrypi.local ] || word=device
    set -- "$@" "$word"
done
exec {ssh} "$@"
"""


def test_the_readmes_one_step_takes_a_trained_model_to_the_device(device: Device) -> None:
    (line,) = re.findall(r"`(deploy/push\.sh [^`]+)`", (ROOT / "README.md").read_text())
    model = device.root / line.split("--model ")[1]
    model.parent.mkdir()
    model.write_bytes(b"model")
    alias = device.root / "alias"
    alias.write_text(ALIAS.format(ssh=device.root / "ssh"))
    alias.chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", f"{line} --wheel edge_classify-1.0-py3-none-any.whl"],
        cwd=device.root,
        env=device.environment(EDGE_SSH=str(alias)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    checksum = subprocess.run(["cksum"], input=b"model", capture_output=True, check=True).stdout
    assert done.stdout == f"the files are whole\n{checksum.decode()}", done.stderr
    assert "installing on pi@raspberrypi.local" in done.stderr
    assert done.returncode == 7


GREETINGS = {
    "words that are folders": "echo Welcome home media /\n",
    "no end of line": "printf 'hello there'\n",
    "a pattern": "echo '*' '/*' '$HOME' '; rm -rf home'\n",
    "a screen": "seq 2000; seq 2000 >&2\n",
    "a question": "read -p 'Start the agent? ' answer; echo \"you said $answer\"\n",
    "three questions": "read a; read b; read -p 'sure? ' c\n",
    "a stolen mark": "echo edge-push-0000 ended 0; echo edge-push-0000 began\n",
    "another folder": "cd media\n",
    "a failing line": "false; no-such-command\nset -u\n",
    "an alias": "shopt -s expand_aliases; alias rm='rm -v' cd=echo head=echo\n",
}


@pytest.mark.parametrize("greeting", GREETINGS.values(), ids=GREETINGS)
def test_a_greeting_is_tolerated(device: Device, greeting: str) -> None:
    (device.home / ".bashrc").write_text(greeting)
    before = device.state()
    done = device.push()
    assert device.state() == before
    assert device.left_in_tmp() == []
    assert done.returncode == 7
    assert done.stdout == "the files are whole\n"


def test_a_banner_and_a_greeting_of_a_login_shell_are_tolerated(device: Device) -> None:
    """sshd sends its banner first; a login shell reads its profile, as it does /etc/profile."""
    (device.root / "banner").write_text("Welcome home media /\nedge-push-0000 began\n")
    (device.home / ".profile").write_text("echo Welcome home media /; read -p 'Start? ' answer\n")
    login = 'ForceCommand bash --login -c "$SSH_ORIGINAL_COMMAND"'
    serve(device, f"Banner {device.root}/banner", login)
    before = device.state()
    done = device.push()
    assert (done.returncode, done.stdout) == (7, "the files are whole\n")
    assert "Welcome home media /" in done.stderr
    assert device.state() == before
    assert device.left_in_tmp() == []


REFUSALS = {
    "it ends": "exit 0\n",
    "another program": "exec cat\n",
    "a question for ever": "while :; do read -p 'y or n? ' a; [ \"$a\" = y ] && break; done\n",
}


@pytest.mark.parametrize("rc", REFUSALS.values(), ids=REFUSALS)
def test_a_login_that_runs_no_command_is_one_line(device: Device, rc: str) -> None:
    (device.home / ".bashrc").write_text(rc)
    before = device.state()
    done = device.push(EDGE_LOGIN_LIMIT_S="3")
    assert done.returncode == 1 and "Terminated" not in done.stderr
    (line,) = (line for line in done.stderr.splitlines() if "did not run a command" in line)
    assert "ssh device true" in line
    assert device.state() == before
    assert device.left_in_tmp() == []


@pytest.mark.parametrize(
    "forced",
    [
        "/usr/sbin/nologin",
        "internal-sftp",
        'PATH=/nowhere /bin/bash --restricted -c "$SSH_ORIGINAL_COMMAND"',
    ],
)
def test_a_restricted_shell_is_one_line(device: Device, forced: str) -> None:
    serve(device, f"ForceCommand {forced}")
    before = device.state()
    done = device.push()
    assert done.returncode == 1
    assert "did not run a command" in done.stderr.splitlines()[-1]
    assert device.state() == before


def test_a_restricted_shell_that_has_sh_works(device: Device) -> None:
    serve(device, 'ForceCommand /bin/bash --restricted -c "$SSH_ORIGINAL_COMMAND"')
    assert device.push().returncode == 7


@pytest.mark.parametrize("shell", ["fish", "tcsh", "bsd-csh", "dash"])
def test_any_login_shell_does(device: Device, shell: str) -> None:
    """sshd hands the command to the user's own shell, which need not be a Bourne shell."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed (Debian: apt install fish tcsh csh)")
    serve(device, f'ForceCommand {shell} -c "$SSH_ORIGINAL_COMMAND"')
    before = device.state()
    done = device.push("--model", str(device.root / "key.pub"))
    assert (done.returncode, done.stdout.splitlines()[0]) == (7, "the files are whole"), done.stderr
    after = {path: state for path, state in device.state().items() if "/." not in path}
    assert after.keys() == {path for path in before if "/." not in path}
    assert device.left_in_tmp() == []


def test_a_full_tmp_is_one_line(device: Device) -> None:
    serve(device, TMPDIR=str(device.root / "no-such-folder"))
    done = device.push()
    assert done.returncode == 1
    assert "make room" in done.stderr.splitlines()[-1]


def test_a_lost_connection_leaves_no_folder(device: Device) -> None:
    (device.root / "deploy" / "install.sh").write_text(
        "echo working >&2\nwhile :; do echo more >&2 || exit; sleep 0.1; done\n"
    )
    with subprocess.Popen(
        device.command(), env=device.environment(), stderr=subprocess.PIPE, text=True
    ) as push:
        assert push.stderr is not None
        while "working" not in push.stderr.readline():
            pass
        (folder,) = device.left_in_tmp()
        os.kill(int((device.root / "ssh.pid").read_text()), signal.SIGKILL)
        *_, last = push.stderr
    assert push.returncode == 1
    assert "the connection was lost" in last
    deadline = time.monotonic() + 10
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not folder.exists()


# It stands for sudo, which this user may not use: a password, asked for three times at most.
SUDO = """#!/bin/sh
[ "$1" != -n ] || exit 1
for _ in 1 2 3; do
    printf '%s' "[sudo] password: " >&2
    IFS= read -r answer || break
    if [ "$answer" = secret ]; then shift 3 && exec "$@"; fi
done
echo 'sudo: a password is required' >&2
exit 1
"""


@pytest.fixture
def asking(device: Device) -> Device:
    """A device whose user is not root, and whose sudo asks for a password."""
    programs = device.root / "bin"
    programs.mkdir()
    for name, text in (("sudo", SUDO), ("id", "#!/bin/sh\necho 1000\n")):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    serve(device, PATH=f"{programs}:/usr/bin:/bin")
    return device


def test_without_a_terminal_a_password_is_missing(asking: Device) -> None:
    done = asking.push()
    assert done.returncode == 1
    assert "a password is required" in done.stderr
    assert asking.left_in_tmp() == []


def test_a_password_is_typed_in_a_terminal_and_not_shown(asking: Device) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe("sh", asking.command(), asking.environment())
    screen, answers = "", ["wrong", "secret"]
    while select.select([terminal], [], [], 30)[0]:
        try:
            screen += os.read(terminal, 4096).decode()
        except OSError:  # the other end is closed
            break
        if screen.endswith("password: ") and answers:
            time.sleep(0.5)  # as a person would
            os.write(terminal, f"{answers.pop(0)}\n".encode())
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert "the files are whole" in screen
    assert "secret" not in screen
    assert asking.left_in_tmp() == []


# --- many hosts

HOSTS = tuple(f"cam{number}" for number in range(1, 21))
# Each host says who it is, and notes how often it was installed.
INSTALL_HOST = """\
echo "installed with $*" >&2
echo "$*" >>{root}/installed-"$CAMERA"
[ ! -e {root}/full-"$CAMERA" ] || {{ echo 'install.sh: /opt: 12 MB are free' >&2; exit 1; }}
"""


@pytest.fixture
def cameras(device: Device) -> Device:
    """Twenty hosts, each behind a server of its own; cam3, cam9 and cam20 fail, each otherwise."""
    (device.root / "deploy" / "install.sh").write_text(INSTALL_HOST.format(root=device.root))
    for host in HOSTS:
        serve(device, CAMERA=host, PATH="/usr/bin:/bin")
        (device.root / "sshd_config").rename(device.root / host)
    ssh = device.root / "ssh"
    ssh.write_text(ssh.read_text().replace("/sshd_config", "/%h"))
    (device.root / "cam3").rename(device.root / "cam3-is-off")
    (device.root / "full-cam9").touch()
    refusing = (device.root / "cam20").read_text().replace("key.pub", "host-key.pub")
    (device.root / "cam20").write_text(refusing)
    return device


def installed(device: Device) -> dict[str, int]:
    """How often install.sh ran on each host."""
    files = device.root.glob("installed-*")
    return {file.name[10:]: len(file.read_text().splitlines()) for file in files}


def test_twenty_hosts_three_of_which_fail(cameras: Device) -> None:
    listed = cameras.root / "cameras.txt"
    listed.write_text("# the barn\n" + "".join(f"{host}  # on a pole\n" for host in HOSTS[1:]))
    home = {"XDG_STATE_HOME": str(cameras.root / "state")}
    push = ("--hosts", str(listed), "--with", "mqtt")
    done = cameras.push(*push, hosts=("cam1", "cam2"), **home)
    assert done.returncode == 1 and done.stdout == ""
    *_, total, off, full, refused, again = done.stderr.splitlines()
    assert total == "push.sh: 17 of 20 hosts done, 3 failed, 0 had it already"
    assert off.startswith("push.sh: cam3: ") and "Terminated" not in done.stderr
    assert full == "push.sh: cam9: install.sh: /opt: 12 MB are free"
    assert (
        refused.startswith("push.sh: cam20: ")
        and again == "push.sh: run the same command again for those that failed"
    )
    assert "cam7: installed with --with mqtt" in done.stderr.splitlines()
    assert set(installed(cameras).values()) == {1} and len(installed(cameras)) == 18
    (cameras.root / "full-cam9").unlink()
    (cameras.root / "cam3-is-off").rename(cameras.root / "cam3")
    done = cameras.push(*push, hosts=("cam1",), **home)
    *_, total, refused, again = done.stderr.splitlines()
    assert total == "push.sh: 2 of 20 hosts done, 1 failed, 17 had it already"
    assert installed(cameras) == dict.fromkeys(HOSTS[:-1], 1) | {"cam9": 2}
    done = cameras.push(*push, "--dry-run", hosts=("cam1",), **home)
    assert "push.sh: 19 of 20 hosts done, 1 failed, 0 had it already" in done.stderr
    done = cameras.push("--again", hosts=("cam1", "cam2"), **home)  # with other options
    assert done.returncode == 0 and done.stderr.endswith(
        "2 of 2 hosts done, 0 failed, 0 had it already\n"
    )
    assert cameras.left_in_tmp() == []


def test_a_push_that_is_ended_goes_on_with_the_rest(cameras: Device) -> None:
    install = cameras.root / "deploy" / "install.sh"
    install.write_text(install.read_text() + f"[ ! -e {cameras.root}/slow ] || sleep 60\n")
    home = {"XDG_STATE_HOME": str(cameras.root / "state")}
    hosts = ("cam1", "cam2", "cam4")
    with subprocess.Popen(
        cameras.command("--jobs", "1", hosts=hosts),
        env=cameras.environment(**home),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as push:
        assert push.stderr is not None
        while "cam1: installed" not in (line := push.stderr.readline()) and line:
            pass
        (cameras.root / "slow").touch()
        while "cam2: installed" not in (line := push.stderr.readline()) and line:
            pass
        push.terminate()
        push.wait(30)
    (cameras.root / "slow").unlink()
    assert "cam4" not in installed(cameras)
    done = cameras.push("--jobs", "1", hosts=hosts, **home)
    assert done.stderr.endswith("2 of 3 hosts done, 0 failed, 1 had it already\n")


@pytest.mark.parametrize("host", ["-oProxyCommand=x", "a b", "$(reboot)", "x;y"])
def test_a_host_that_is_none_is_refused(device: Device, host: str) -> None:
    listed = device.root / "hosts"
    listed.write_text(f"cam1\n{host}\n")
    done = device.push("--hosts", str(listed), hosts=())
    assert done.returncode == 2 and f"Received: {host}" in done.stderr
