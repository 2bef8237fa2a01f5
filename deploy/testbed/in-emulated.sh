#!/bin/sh
# Runs a command whose children may be ARM programs: in-emulated.sh EMULATOR COMMAND...
# Unlike in-root.sh all users are mapped, for a package manager gives files to several. The emulator's registration with the
# kernel is in namespaces of its own, and gone with the command.
set -eu

if [ "${EDGE_IN_NAMESPACE:-}" != yes ]; then
    work=$(mktemp -d)
    mkfifo "$work/mapped"
    # Root within is nobody until it is mapped, which only the one outside can do; exec gives it its capabilities then.
    # shellcheck disable=SC2016  # expanded within
    EDGE_IN_NAMESPACE=yes unshare --user --mount sh -c 'read -r _ <"$0"; exec "$@"' "$work/mapped" "$0" "$@" &
    child=$!
    trap 'rm -rf "$work"' EXIT
    trap 'kill "$child"; exit 143' HUP INT TERM
    # shellcheck disable=SC3013  # dash and bash both know it
    until ! [ /proc/self/ns/user -ef "/proc/$child/ns/user" ]; do sleep 0.1; done
    for kind in uid gid; do echo '0 0 4294967295' >"/proc/$child/${kind}_map"; done
    echo >"$work/mapped"
    status=0
    wait "$child" || status=$?
    exit "$status"
fi

emulator=$1
shift
case ${emulator##*/} in
qemu-aarch64) class=02 machine=b7 ;;
qemu-arm) class=01 machine=28 ;;
esac
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
# As in in-root.sh.
printf ':%s:M::\\x7fELF\\x%s\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\x%s\\x00:%s:%s:POF' \
    "${emulator##*/}" "$class" "$machine" \
    '\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff' "$emulator" \
    >/proc/sys/fs/binfmt_misc/register
exec "$@"
