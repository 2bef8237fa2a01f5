# shellcheck shell=sh disable=SC2034,SC2154
# Sourced by install.sh: how a version is built beside those that are there. Takes its options (wheel, extras, offline),
# architecture and work from there; sets target, the folder of the version, and unfinished, to be removed should it fail.

system_packages=/usr/lib/python3/dist-packages

newest_wheel() {
    newest=''
    for file in "$1"/edge_classify-*.whl; do
        # shellcheck disable=SC3013  # dash and bash both know it
        if [ -f "$file" ] && { [ -z "$newest" ] || [ "$file" -nt "$newest" ]; }; then newest=$file; fi
    done
    echo "$newest"
}

# From a checkout the package is what the checkout holds: a wheel in dist/ that was built from other files is not taken.
find_wheel() {
    for folder in ${offline:+"$offline"} "$here"; do
        [ -n "$wheel" ] || wheel=$(newest_wheel "$folder")
    done
    [ -z "$wheel" ] || return 0
    [ -f "$here/../pyproject.toml" ] || fail 'no edge_classify-*.whl beside this script; name one with --wheel FILE'
    wheel=$(newest_wheel "$here/../dist")
    if [ -n "$wheel" ] && is_of_checkout "$wheel"; then return 0; fi
    wheel=''
    step 'building the package from this checkout' || return 0
    pip python3 wheel --no-deps --wheel-dir "$work" "$here/.." ||
        fail 'the package could not be built; see above, or build it elsewhere and name it with --wheel FILE'
    wheel=$(newest_wheel "$work")
}

# is_of_checkout WHEEL: the same modules, models and pages, byte for byte.
is_of_checkout() {
    command -v python3 >/dev/null || return 1
    python - "$1" "$here/.." <<'END'
import pathlib, sys, zipfile
root = pathlib.Path(sys.argv[2])
with zipfile.ZipFile(sys.argv[1]) as wheel:
    packed = {name: wheel.read(name) for name in wheel.namelist() if ".dist-info/" not in name}
here = {}
for top, place in (("edge", "edge"), ("convert", "convert"), ("models", "edge/models")):
    for path in (root / top).rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            here[f"{place}/{path.relative_to(root / top).as_posix()}"] = path.read_bytes()
sys.exit(packed != here)
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
    provided=$(python - "$wheel" <<'END'
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

# The system's numpy and Pillow, though others in /usr/local may come before them.
system_versions() {
    python -c "import sys; sys.path.insert(0, '$system_packages')
import numpy, PIL; print(sys.version.split()[0], numpy.__version__, PIL.__version__)"
}

# A version's folder is named after all that it is made of, so that the same wheel on an upgraded system is another one.
# Where files of it have been damaged while it is in use, the next is built beside it.
name_version() {
    [ -n "$wheel" ] || { target="$opt/versions/..." && return; } # a dry run, before the package is built
    if ! system=$(system_versions 2>"$work/why"); then
        [ -n "$dry_run" ] || {
            tail -n 1 "$work/why" >&2
            fail "python3 cannot import numpy and PIL; sudo apt-get install --reinstall python3-numpy python3-pil"
        }
        system='(after apt)'
    fi
    with=$(wanted_extras)
    echo "$(hash_of "$wheel") [$with] $system" >"$work/recipe"
    version=${wheel##*/edge_classify-}
    base=$opt/versions/${version%%-*}-$(hash_of "$work/recipe" | cut -c -8)
    choose_folder
}

choose_folder() {
    for target in "$base" "$base".*; do
        if is_whole "$target"; then return 0; fi
    done
    target=$base number=1
    while is_in_use "versions/${target##*/}"; do
        say "$target: is in use, and files of it are damaged or missing; another is built beside it"
        number=$((number + 1))
        target=$base.$number
    done
}

# is_whole FOLDER: it is built of the recipe of its name, and no file has changed since; a power cut may have emptied some.
is_whole() {
    [ -s "$1/recipe" ] && [ -x "$1/bin/python" ] &&
        case ${1##*/} in *-"$(hash_of "$1/recipe" | cut -c -8)"*) ;; *) false ;; esac &&
        (cd "$1" && sha256sum --quiet --strict --check SHA256SUMS) >/dev/null 2>&1
}

numpy_file() { "$1" -I -c 'import numpy; print(numpy.__file__)'; }

build_version() {
    if is_whole "$target"; then
        say "$target: is built already"
        return
    fi
    [ ! -e "$target" ] || say "$target: is incomplete, and is built again"
    step "building $target" || return 0
    check_extras
    unfinished=$target
    rm -rf -- "$target"
    make_venv
    install_into_venv
    write_commands
    (cd "$target" && find . -type f ! -path './deploy/*' -print0 | sort -z | xargs -0 sha256sum >"$work/SHA256SUMS")
    put "$work/SHA256SUMS" "$target/SHA256SUMS"
    sync -f "$target"
    put "$work/recipe" "$target/recipe"
}

make_venv() {
    python3 -I -m venv --without-pip --system-site-packages "$target" >"$work/why" 2>&1 || {
        tail -n 2 "$work/why" >&2
        fail "$target: could not be made, see above; make room, or sudo apt-get install python3-venv"
    }
    # A numpy in /usr/local must not come before the one for which the system's picamera2 was built.
    (cd "$target"/lib/python3*/site-packages && echo "$system_packages" >system.pth)
}

# Wheels that were kept beside these scripts come first: a rebuild needs no network.
install_into_venv() {
    echo "$system" | awk '{ print "numpy==" $2; print "pillow==" $3 }' >"$work/constraints"
    set -- install --no-user --constraint "$work/constraints" "$wheel${with:+[$with]}"
    case $architecture,$with, in
    *,litert,*) ;;
    amd64,*) # the wheel requires it there, and the folder of --offline does not hold it
        pip "$target/bin/python" install --no-user --no-deps "$wheel" || fail "pip could not install ${wheel##*/}; see above"
        needs_without_litert >"$work/needs"
        set -- install --no-user --constraint "$work/constraints" --requirement "$work/needs"
        ;;
    esac
    if [ -z "$offline" ] && [ -d "$here/wheels" ] &&
        pip "$target/bin/python" "$@" --no-index --find-links "$here/wheels" 2>/dev/null; then
        :
    else
        pip "$target/bin/python" "$@" ||
            fail "pip could not install ${wheel##*/}; see above, then run this again${offline:+ (is all of it in $offline?)}"
    fi
    case $(numpy_file "$target/bin/python") in
    "$system_packages"/*) ;;
    *) fail "$target: its numpy is not the system's; sudo apt-get install --reinstall python3-numpy, then run this again" ;;
    esac
}

needs_without_litert() {
    python - "$wheel" "$with" <<'END'
import re, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    (name,) = (n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
    lines = wheel.read(name).decode().splitlines()
for line in lines:
    need, _, marker = line.partition("Requires-Dist: ")[2].partition(";")
    extra = re.search(r"extra == ['\"](\w+)['\"]", marker)
    if need and not need.startswith("ai-edge-litert") and (not extra or extra[1] in sys.argv[2].split(",")):
        print(need if extra or not marker else f"{need}; {marker}")
END
}

# The package's start scripts are written again, and recorded: for the environment alone (no user's packages, no current
# folder), and with a line for the day on which the system has got another Python.
write_commands() {
    "$target/bin/python" -I - "$target" "$opt/current/deploy/install.sh" <<'END'
import base64, hashlib, importlib.metadata, pathlib, sys
target, install = pathlib.Path(sys.argv[1]), sys.argv[2]
START = """#!{target}/bin/python -sP
import sys

try:
    from {module} import {function}
except ModuleNotFoundError as error:
    if error.name != "{package}":
        raise
    built = "Python {version}, and this system has " + sys.version.split()[0]
    sys.exit(f"{name}: was installed for {{built}}; sudo sh {install}")
sys.exit({function}())
"""
package = importlib.metadata.distribution("edge-classify")
recorded = {}
for entry in package.entry_points.select(group="console_scripts"):
    module, _, function = entry.value.partition(":")
    text = START.format(target=target, module=module, function=function, package=module.split(".")[0], name=entry.name,
                        version=sys.version.split()[0], install=install)
    (target / "bin" / entry.name).write_text(text)
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
    recorded[f"../../../bin/{entry.name}"] = f"sha256={digest},{len(text.encode())}"
(record,) = target.glob("lib/python3*/site-packages/edge_classify-*.dist-info/RECORD")
lines = (line.split(",", 1) for line in record.read_text().splitlines())
record.write_text("".join(f"{name},{recorded.get(name, rest)}\n" for name, rest in lines))
END
}

# What a later run needs: uninstall.sh is to be found long after what was pushed is gone, and on the day on which the system
# has got another Python the version is built again of its wheels, without a network where they are for that one too.
keep_scripts() {
    [ -z "$dry_run" ] || return 0
    for file in $(cat "$here/files") files; do
        cmp -s -- "$here/$file" "$target/deploy/$file" || put "$here/$file" "$target/deploy/$file"
    done
    chmod 755 "$target"/deploy/*.sh
    cmp -s -- "$wheel" "$target/deploy/${wheel##*/}" || put "$wheel" "$target/deploy/${wheel##*/}"
    if are_whole "$target/deploy/wheels"; then return 0; fi
    rm -rf -- "$target/deploy/wheels"
    keep_wheels
}

# are_whole FOLDER: its wheels; there may be none, where they could not be had.
are_whole() {
    [ -e "$1/SHA256SUMS" ] || return 1
    [ ! -s "$1/SHA256SUMS" ] || (cd "$1" && sha256sum --quiet --strict --check SHA256SUMS) >/dev/null 2>&1
}

keep_wheels() {
    step 'keeping its wheels' || return 0
    mkdir -p "$work/wheels"
    "$target/bin/python" -I - "$target" >"$work/installed" <<'END'
import importlib.metadata, pathlib, sys
for site in pathlib.Path(sys.argv[1]).glob("lib/python3*/site-packages"):
    for package in importlib.metadata.distributions(path=[str(site)]):
        if package.name != "edge-classify":
            print(f"{package.name}=={package.version}")
END
    pip "$target/bin/python" download --no-deps --dest "$work/wheels" --requirement "$work/installed" ||
        say 'the wheels could not be kept: a rebuild will need a network'
    # Debian trixie has Python 3.13: after an upgrade in place nothing that is there now will load.
    case $release/$architecture in bookworm/amd64) keep_next x86_64 ;; bookworm/arm64) keep_next aarch64 ;; esac
    for file in "$work"/wheels/*.whl; do # those that the version in place has as well take no more room
        same=$opt/current/deploy/wheels/${file##*/}
        if cmp -s -- "$file" "$same"; then ln -f -- "$same" "$file"; fi
    done
    (cd "$work/wheels" && find . -name '*.whl' -print0 | sort -z | xargs -0 --no-run-if-empty sha256sum >SHA256SUMS)
    sync -f "$work/wheels"
    mv -- "$work/wheels" "$target/deploy/wheels"
}

# keep_next MACHINE: the same for the next Debian; where they cannot be had, the rebuild will need a network.
keep_next() {
    case ,$with, in *,litert,*) ;; *) return 0 ;; esac
    grep -v '^tflite' "$work/installed" >"$work/next"
    pip "$target/bin/python" download --no-deps --dest "$work/wheels" --requirement "$work/next" --only-binary :all: \
        --python-version 3.13 --implementation cp --abi cp313 --abi abi3 --abi none --platform "manylinux_2_34_$1" \
        --platform "manylinux_2_28_$1" --platform "manylinux_2_27_$1" --platform "manylinux2014_$1" 2>/dev/null || :
}
