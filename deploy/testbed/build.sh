# shellcheck shell=sh
# Sourced, after stoppable.sh, by the scripts beside it that build a Debian root once. What they build is locked meanwhile,
# used for as long as its recipe stays the same, and never found half made.
# Takes EDGE_TESTBED_CACHE, and PYTHON for its pip, from the environment.

: "${here:?must be sourced by a script beside it}"
# shellcheck source-path=SCRIPTDIR source=needs.sh
. "$here/needs.sh"
cache=${EDGE_TESTBED_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/edge-classify/testbed}

# build_in FOLDER MB RECIPE...: makes FOLDER the cache. If it was built by these files already, prints it and ends; else
# returns with an empty folder $new to build in, where there are so many megabytes for it.
build_in() {
    mkdir -p "$1"
    cache=$(cd "$1" && pwd) space_mb=$2
    shift 2
    recipe=$(cat "$@" "$here/build.sh" | sha256sum)
    exec 9>"$cache/lock"
    if ! flock -n 9; then
        say "waiting for another build in $cache"
        on_end :
        run 7200 flock 9
    fi
    on_end remove_new # the lock says that nobody else is building

    if [ "$(cat "$cache/recipe" 2>/dev/null)" = "$recipe" ]; then
        say "using $cache"
        echo "$cache"
        exit
    fi

    remove_new # what a power cut left
    free_mb=$(df --output=avail -BM "$cache" | tail -n 1 | tr -d ' M')
    [ "$free_mb" -ge "$space_mb" ] || {
        say "needs $space_mb MB in $cache, where $free_mb are free; make room, or set EDGE_TESTBED_CACHE to a folder elsewhere"
        exit 1
    }
    new=$(mktemp -d "$cache/.new.XXXXXX")
    mirror=$(debian_mirror)
    [ -n "$mirror" ] || say "apt knows no Debian mirror here (apt-get update makes it known); taking mmdebstrap's own default"
    apt_settings >"$new/apt.conf"
}

remove_new() { rm -rf --one-file-system "$cache"/.new.*; }

# built NAME...: moves what is in $new under these names into the cache, and prints that.
built() {
    # From here the old is gone and the new is not yet vouched for; the recipe goes in last.
    rm -f "$cache/recipe"
    for made in "$@"; do
        rm -rf --one-file-system "${cache:?}/$made"
        mv "$new/$made" "$cache/"
    done
    echo "$recipe" >"$cache/recipe"
    say "built $cache"
    echo "$cache"
}

# unpack SECONDS SUITE FOLDER OPTIONS...: a root by mmdebstrap, without what only people read.
unpack() {
    within=$1 suite=$2 folder=$3
    shift 3
    run "$within" mmdebstrap --quiet --mode=root --aptopt="$new/apt.conf" --aptopt='Acquire::Languages "none"' \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' "$@" "$suite" "$folder" ${mirror:+"$mirror"} >&2 || no_packages "Debian $suite"
}

# no_packages WHAT: ends, where a download failed.
no_packages() {
    say "could not get $1, see above; is there a network? apt-get update and $python -m pip download numpy try it"
    exit 1
}

# The mirror that this machine's own apt uses for Debian. Only that one: the security suites live elsewhere, and the checks
# need nothing from them.
debian_mirror() {
    # shellcheck disable=SC2016  # apt fills these in
    apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(REPO_URI)' 'Created-By: Packages' |
        awk -F '|' '$1 == "Debian" && $2 == "Debian" && $3 == "main" { print $4; exit }'
}

# The way to the mirror (a proxy, a clock not to be trusted) is the machine's own too.
apt_settings() { apt-config dump | grep -E '^Acquire::(https?::|Check-|ForceIPv|Retries)' || :; }
