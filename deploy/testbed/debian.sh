# shellcheck shell=sh
# Sourced by the scripts beside it that unpack a Debian root: how this machine reaches its mirror.

# The mirror that this machine's own apt uses for Debian. Only that one: the security suites live elsewhere, and the checks
# need nothing from them.
debian_mirror() {
    # shellcheck disable=SC2016  # apt fills these in
    apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(REPO_URI)' 'Created-By: Packages' |
        awk -F '|' '$1 == "Debian" && $2 == "Debian" && $3 == "main" { print $4; exit }'
}

# The way to the mirror (a proxy, a clock not to be trusted) is the machine's own too.
apt_settings() { apt-config dump | grep -E '^Acquire::(https?::|Check-|ForceIPv|Retries)' || :; }
