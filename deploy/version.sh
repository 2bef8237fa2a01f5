# shellcheck shell=sh disable=SC2034,SC2154
# Sourced by install.sh: how a version is built beside those that are there. Takes its options (wheel, extras, offline),
# architecture and work from there; sets target, the folder of the version, and unfinished, to be removed should it fail.

newest_wheel() {
    newest=''
    for file in "$1"/edge_classify-*.whl; do
        # shellcheck disable=SC3013  # dash and bash both know it
        if [ -f "$file" ] && { [ -z "$newest" ] || [ "$file" -nt "$newest" ]; }; then newest=$file; fi
    done
    echo "$newest"
}

find_wheel() {
    for folder in ${offline:+"$offline"} "$here" "$here/../dist"; do
        [ -n "$wheel" ] || wheel=$(newest_wheel "$folder")
    done
    [ -z "$wheel" ] || return 0
    [ -f "$here/../pyproject.toml" ] || fail 'no edge_classify-*.whl beside this script; name one with --wheel FILE'
    step 'building the package from this checkout' || return 0
    pip python3 wheel --no-deps --wheel-dir "$work" "$here/.." ||
        fail 'the package could not be built; see above, or build it elsewhere and name it with --wheel FILE'
    wheel=$(newest_wheel "$work")
}

# pip PYTHON ARGUMENTS...: the pip that Debian's python3-venv brings, run by that Python and told where packages come from.
# It is borrowed, not installed: it would take longer to install than all the rest, and more room.
pip() {
    of=$1
    shift
    [ -d "$work/pip" ] || unpack_pip || fail 'pip is not there; sudo apt-get install --reinstall python3-venv python3-pip-whl'
    PYTHONPATH=$work/pip "$of" -m pip --quiet --no-cache-dir --disable-pip-version-check "$@" \
        ${offline:+--no-index --find-links "$offline"} >&2
}

unpack_pip() {
    python3 - "$work/pip" <<'END'
import pathlib, sys, sysconfig, zipfile
folders = ["/usr/share/python-wheels", sysconfig.get_path("stdlib") + "/ensurepip/_bundled"]
wheels = [wheel for folder in folders for wheel in pathlib.Path(folder).glob("pip-*.whl")]
if not wheels:
    sys.exit(1)
zipfile.ZipFile(wheels[0]).extractall(sys.argv[1])
END
}

# The optional parts of the wheel that are wanted: --with, and ai-edge-litert wherever it exists.
wanted_extras() {
    case $architecture in
    amd64 | arm64)
        if [ -z "$offline" ] || [ -n "$(find "$offline" -name 'ai_edge_litert-*.whl')" ]; then
            echo "litert${extras:+,$extras}"
            return
        fi
        ;;
    esac
    echo "$extras"
}

check_extras() {
    provided=$(python3 - "$wheel" <<'END'
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    (name,) = (n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
    lines = wheel.read(name).decode().splitlines()
print(*(line.split()[1] for line in lines if line.startswith("Provides-Extra: ")))
END
    ) || fail "$wheel: is not a wheel; build it again"
    for extra in $(echo "$extras" | tr , ' '); do
        case " $provided " in
        *" $extra "*) ;;
        *) fail "--with $extra: ${wheel##*/} has no such part; it has: $provided" ;;
        esac
    done
}

# A version's folder is named after all that it is made of, so that the same wheel on an upgraded system is another one.
name_version() {
    [ -n "$wheel" ] || { target="$opt/versions/..." && return; } # a dry run, before the package is built
    if ! system=$(python3 -c 'import sys, numpy, PIL; print(sys.version.split()[0], numpy.__version__, PIL.__version__)' 2>/dev/null); then
        [ -n "$dry_run" ] || fail "python3 cannot import numpy and PIL; sudo apt-get install --reinstall python3-numpy python3-pil"
        system='(after apt)'
    fi
    with=$(wanted_extras)
    echo "$(hash_of "$wheel") [$with] $system" >"$work/recipe"
    version=${wheel##*/edge_classify-}
    target=$opt/versions/${version%%-*}-$(hash_of "$work/recipe" | cut -c -8)
}

numpy_file() { "$1" -c 'import numpy; print(numpy.__file__)'; }

build_version() {
    if [ -e "$target/recipe" ]; then
        say "$target: is built already"
        return
    fi
    step "building $target" || return 0
    check_extras
    unfinished=$target
    rm -rf "$target"
    python3 -m venv --without-pip --system-site-packages "$target" || fail 'python3 -m venv failed; sudo apt-get install python3-venv'
    # The system's picamera2 was built for the system's numpy; a newer one beside it breaks both.
    echo "$system" | awk '{ print "numpy==" $2; print "pillow==" $3 }' >"$work/constraints"
    pip "$target/bin/python" install --constraint "$work/constraints" "$wheel${with:+[$with]}" ||
        fail "pip could not install ${wheel##*/}; see above, then run this again${offline:+ (is all of it in $offline?)}"
    [ "$(numpy_file "$target/bin/python")" = "$(numpy_file python3)" ] ||
        fail "$target: its numpy is not the system's; sudo apt-get install --reinstall python3-numpy, then run this again"
    cp -- "$work/recipe" "$target/recipe"
}
