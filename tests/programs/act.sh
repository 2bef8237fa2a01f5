#!/bin/sh
# What actions of tests run: act.sh FOLDER [SECONDS]. It keeps its input and its environment, starts a child that would
# outlive it, and ends after SECONDS.
cd "$1" || exit 1
cat >"input.$$"
env >"environment.$$"
image=$(sed -n 's/.*"image": "\([^"]*\)".*/\1/p' "input.$$")
[ -z "$image" ] || cp "$image" "image.$$.jpg"
sleep 300 &
echo $! >"child.$$"
mv "input.$$" "done.$$"
[ -z "$2" ] || sleep "$2"
[ -z "$3" ] || exit "$3"
