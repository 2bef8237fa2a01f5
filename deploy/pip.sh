# shellcheck shell=sh disable=SC2154
# Sourced by install.sh: the pip that Debian's python3-venv brings. It is borrowed, not installed: it would take longer to
# install than all the rest, and more room. Takes work, here and offline from there.

# pip PYTHON ARGUMENTS...: run by that Python, for packages from where this machine gets its own. Wheels that an earlier
# installation has kept beside these scripts are enough, without a network.
pip() {
    of=$1
    shift
    prepare_pip
    (
        for name in $(env | sed -n 's/^\(PIP_[A-Z_]*\)=.*/\1/p'); do unset "$name"; done
        # shellcheck source=/dev/null
        . "$work/pip-sources"
        export PIP_CONFIG_FILE=/dev/null TMPDIR="$work"
        "$of" -I "$work/pip/pip" --quiet --cache-dir "$work/cache" --disable-pip-version-check "$@" \
            ${offline:+--no-index --find-links "$offline"} >&2
    )
}

prepare_pip() {
    [ -d "$work/pip" ] || unpack_pip ||
        fail 'pip could not be unpacked, see above; sudo apt-get install --reinstall python3-venv python3-pip-whl'
    [ -e "$work/pip-sources" ] || pip_sources >"$work/pip-sources"
}

unpack_pip() {
    python - "$work/pip" <<'END'
import pathlib, sys, sysconfig, zipfile
folders = ["/usr/share/python-wheels", sysconfig.get_path("stdlib") + "/ensurepip/_bundled"]
wheels = [wheel for folder in folders for wheel in pathlib.Path(folder).glob("pip-*.whl")]
if not wheels:
    sys.exit("no pip-*.whl in " + " or ".join(folders))
try:
    zipfile.ZipFile(wheels[0]).extractall(sys.argv[1])
except OSError as error:
    sys.exit(f"{sys.argv[1]}: {error.strerror}")
END
}

# An index, a proxy or a certificate is the machine's business, and taken from pip.conf and the environment. How pip installs
# (user, target, require-virtualenv, prefix) is ours.
pip_sources() {
    python "$work/pip/pip" --disable-pip-version-check config list 2>/dev/null | python -c '
import ast, shlex, sys
sources = "index-url extra-index-url trusted-host proxy cert client-cert find-links timeout retries prefer-binary".split()
lines = [line.strip().partition("=") for line in sys.stdin]
for name, _, value in sorted(lines, key=lambda line: line[0].startswith(":env:")):
    key = name.rpartition(".")[2]
    if key in sources:
        text = " ".join(ast.literal_eval(value).split())
        print("export", "PIP_" + key.upper().replace("-", "_") + "=" + shlex.quote(text))
'
}
