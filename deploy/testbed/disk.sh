# shellcheck shell=sh
# Sourced by test-power.sh: ext4 disks in files, and what a power cut leaves of one.
#
# A disk is a loop device, past the page cache, on a file of a small XFS, which can clone a file in one step. A clone has what
# the disk had been sent at that moment; what the mounted ext4 still holds in memory is not in it, as after a power cut.
# Makes in the folder $work: store/, the XFS, with the disks; disk/, where one disk at a time is mounted.

store='' mounted=''

make_store() {
    : "${work:?must be set by the script that sources this}"
    store=$work/store mounted=$work/disk
    mkdir -p "$store" "$mounted"
    truncate -s 40G "$work/store.xfs" # sparse: the run takes about 4 GB of it
    mkfs.xfs -q -m reflink=1 "$work/store.xfs"
    mount -o loop "$work/store.xfs" "$store"
}

# make_disk NAME: an empty one; ext4 as mkfs makes it.
make_disk() {
    truncate -s 3G "$store/$1"
    mkfs.ext4 -q "$store/$1"
}

# clone NAME NEW_NAME: as it is at this moment.
clone() { cp --reflink=always -- "$store/$1" "$store/$2"; }

# attach NAME: mounts it as Raspberry Pi OS mounts its card.
attach() {
    device=$(losetup --find --show --direct-io=on "$store/$1")
    mount -t ext4 -o noatime "$device" "$mounted" || {
        losetup --detach "$device"
        return 1
    }
    losetup --detach "$device" # takes effect once it is unmounted
}

detach() { umount "$mounted"; }

remove_store() {
    for place in ${mounted:+"$mounted" "$store"}; do
        mountpoint -q "$place" || continue
        umount "$place" 2>/dev/null || { sleep 2 && umount "$place"; } || umount --lazy "$place" # a loop device lets go late
    done
}

# loses_unsynced: whether a cut takes with it what was not synced, and nothing else. Without this, a rig proves nothing.
loses_unsynced() {
    make_disk control
    attach control
    echo gone >"$mounted/unsynced"
    echo here >"$mounted/synced"
    sync "$mounted/synced" # and the journal with it, which has the other's name
    clone control control-cut
    detach
    attach control-cut
    found="$(stat -c '%n %s' "$mounted/unsynced" "$mounted/synced" | sed 's|.*/||' | xargs)"
    detach
    rm "$store/control" "$store/control-cut"
    [ "$found" = 'unsynced 0 synced 5' ] || {
        echo "found: $found"
        return 1
    }
}
