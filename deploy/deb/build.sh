#!/bin/sh
# Builds Debian packages of this checkout: build.sh [--wheel FILE] [--wheels DIR] [ARCHITECTURE...]
# ARCHITECTURE is amd64, arm64 or armhf; this machine's, where none is named.
# A package holds the wheel, the runtimes' wheels for bookworm and trixie, and the scripts beside this one; once apt has put
# them in place, install.sh does with them what it does anywhere, without a network. They go into dist/, with SHA256SUMS.
# --wheel names a wheel instead of building one, --wheels a folder of runtimes instead of fetching them. PYTHON names an
# interpreter whose pip does both; DEBFULLNAME and DEBEMAIL, as in the tools of Debian, name the maintainer.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
deploy=${here%/*}
checkout=${deploy%/*}
python=${PYTHON:-python3}
place=usr/lib/edge-classify
maintainer="${DEBFULLNAME:-The edge-classify authors} <${DEBEMAIL:-edge-classify@example.org}>"
wheel='' wheels=''

say() { echo "deb: $*" >&2; }

fail() {
    say "$*"
    exit 1
}

# fetch PYTHON REQUIREMENT...: wheels for $machine with what they need, but numpy and Pillow, which are Debian's.
fetch() {
    fetched=$work/fetched
    rm -rf -- "$fetched"
    of=$1 platforms=''
    shift
    for platform in any manylinux2014 manylinux_2_27 manylinux_2_28 manylinux_2_31 manylinux_2_34; do
        [ "$platform" = any ] || platform=${platform}_$machine
        platforms="$platforms --platform $platform"
    done
    # shellcheck disable=SC2086  # a list of words
    "$python" -m pip download --quiet --only-binary :all: --python-version "$of" --implementation cp --abi "cp$of" \
        --abi abi3 --abi none $platforms --dest "$fetched" "$@" >&2 || fail "the wheels of $* could not be fetched, see above"
    rm -f -- "$fetched"/numpy-* "$fetched"/pillow-*
    cp -- "$fetched"/* "$root/$place/wheels/"
}

# For 32 bits there is tflite-runtime alone, and no tornado. bookworm has numpy 1, for which not every ml_dtypes is.
fetch_all() {
    case $1 in amd64) machine=x86_64 ;; arm64) machine=aarch64 ;; armhf) machine=armv7l ;; esac
    fetch 311 tflite-runtime==2.14.0 'numpy<2'
    fetch 311 'paho-mqtt>=2.0'
    [ "$1" != armhf ] || return 0
    set -- 'ai-edge-litert>=2.1' 'tornado>=6.4' 'prometheus-client>=0.20'
    fetch 311 'numpy<2' "$@"
    fetch 313 "$@"
}

# Root owns all of it; dates are the last commit's, so that the same checkout makes the same package.
build() {
    architecture=$1
    case $architecture in amd64 | arm64 | armhf) ;; *) fail "must be amd64, arm64 or armhf. Received: $architecture" ;; esac
    root=$work/$architecture
    mkdir -p "$root/DEBIAN" "$root/$place/wheels" "$root/usr/bin" "$root/usr/share/doc/edge-classify" "$root/usr/share/lintian/overrides"
    if [ -n "$wheels" ]; then
        cp -- "$wheels"/*.whl "$root/$place/wheels/"
    else
        say "fetching the wheels for $architecture"
        fetch_all "$architecture"
    fi
    while read -r file; do cp -- "$deploy/$file" "$root/$place/"; done <"$deploy/files"
    cp -- "$deploy/files" "$wheel" "$root/$place/"
    for command in classify watch doctor benchmark; do
        ln -s "/opt/edge-classify/current/bin/edge-$command" "$root/usr/bin/edge-$command"
    done
    cp -- "$here/copyright" "$root/usr/share/doc/edge-classify/"
    cp -- "$here/lintian" "$root/usr/share/lintian/overrides/edge-classify"
    write_changelog | gzip -9n >"$root/usr/share/doc/edge-classify/changelog.gz"
    write_control
    find "$root" -type d -exec chmod 755 {} +
    find "$root" -type f -exec chmod 644 {} +
    chmod 755 "$root/$place/install.sh" "$root/$place/uninstall.sh" "$root"/DEBIAN/p*
    (cd "$root" && find usr -type f -exec md5sum {} + | LC_ALL=C sort -k 2 >DEBIAN/md5sums && chmod 644 DEBIAN/md5sums)
    find "$root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
    dpkg-deb --root-owner-group -Zxz -z0 --build "$root" "$work/debs/edge-classify_${version}_$architecture.deb" >&2
}

write_changelog() {
    printf 'edge-classify (%s) unstable; urgency=medium\n\n  * What changed is in CHANGELOG.md of the source.\n\n -- %s  %s\n' \
        "$version" "$maintainer" "$(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")"
}

write_control() {
    size_kb=$(du -sk --apparent-size "$root/usr" | cut -f 1)
    sed -e "s/@VERSION@/$version/; s/@ARCHITECTURE@/$architecture/; s/@SIZE@/$size_kb/; s|@MAINTAINER@|$maintainer|" \
        "$here/control" >"$root/DEBIAN/control"
    cp -- "$here/postinst" "$here/prerm" "$root/DEBIAN/"
    # What is to be purged is removed when the package's own files have gone: the script is one.
    sed -e "/source=places.sh/r $deploy/places.sh" -e "/source=instance.sh/r $deploy/instance.sh" \
        -e '/^# shellcheck source/d; /^\. .*\/places\.sh"$/d; /^\. .*\/instance\.sh"$/d' "$deploy/uninstall.sh" >"$work/uninstall"
    sed -e '/^@UNINSTALL@$/r '"$work/uninstall" -e '/^@UNINSTALL@$/d' "$here/postrm" >"$root/DEBIAN/postrm"
}

# shellcheck disable=SC2317  # called by a trap
clean_up() { rm -rf -- "$work"; }

command -v dpkg-deb >/dev/null || fail 'dpkg-deb is not installed: packages are built on Debian or Raspberry Pi OS'
while :; do
    case ${1-} in
    --wheel) wheel=${2-} ;;
    --wheels) wheels=${2-} ;;
    *) break ;;
    esac
    [ -e "${2-}" ] || fail "$1 ${2-}: no such file or folder"
    shift 2
done
[ $# -gt 0 ] || set -- "$(dpkg --print-architecture)"
work=$(mktemp -d)
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir "$work/debs"
SOURCE_DATE_EPOCH=$(git -C "$checkout" log -1 --format=%ct 2>/dev/null) || SOURCE_DATE_EPOCH=$(date +%s)
export SOURCE_DATE_EPOCH
if [ -z "$wheel" ]; then
    say 'building the wheel'
    "$python" -m pip wheel --quiet --no-deps --wheel-dir "$work/wheel" "$checkout" >&2 || fail 'the wheel could not be built, see above'
    wheel=$(echo "$work"/wheel/*.whl)
fi
version=${wheel##*/edge_classify-}
version=${version%%-*}
for architecture; do build "$architecture"; done
(cd "$work/debs" && sha256sum -- *.deb >SHA256SUMS)
mkdir -p "$checkout/dist"
mv -- "$work"/debs/* "$checkout/dist/"
for architecture; do echo "dist/edge-classify_${version}_$architecture.deb"; done
