#!/bin/sh
# Runs in an ARM root, under test-arm.sh: arm-commands.sh ROOT RUNTIME. A line a check on stdout; exit status 1 if one fails.
# shellcheck disable=SC2317  # checks are called by name
set -u
status=0
small=/trial/site/edge/models/hotdog-small.tflite
root=$1 runtime=$2
set -- /trial/pictures/*
photo=$1

check() {
    sentence=$1
    shift
    if "$@" >/tmp/said 2>&1; then
        echo "ok     $root, $runtime: $sentence"
    else
        echo "FAILED $root, $runtime: $sentence"
        tail -n 5 /tmp/said >&2
        status=1
    fi
}

edge() {
    command=$1
    shift
    python3 -m edge "$command" "$@"
}

classifies() { edge classify -m "$small" --runtime "$runtime" --format jsonl /trial/pictures | python3 -c '
import json, sys
lines = [json.loads(line) for line in sys.stdin]
assert len(lines) == 10 and all(line["score"] > 0 for line in lines), lines'; }

watches() {
    edge watch --source /trial/pictures -m "$small" --runtime "$runtime" --fps 0 --every 1 --repeat 2>/tmp/watch.err | head -n 100 >/tmp/lines
    cat /tmp/watch.err
    [ "$(wc -l </tmp/lines)" = 100 ]
}

# It may find that a machine has no camera; it must say so, and find the runtime and the model well.
doctors() { edge doctor -m "$small" --format json >/tmp/found || [ $? = 1 ]; python3 -c '
import json
found = {line["name"]: line for line in json.load(open("/tmp/found"))["checks"]}
for name in ("runtime", "model"):
    assert found[name]["status"] == "ok", found[name]'; }

damaged() {
    head -c 100000 "$small" >/tmp/damaged.tflite
    edge classify -m /tmp/damaged.tflite "$photo"
    [ $? = 1 ]
}

# The trial of a model has a time limit, which an emulated processor beside other work may miss.
crashing() {
    for _ in 1 2 3; do
        edge classify --runtime "$runtime" -m /trial/traps/per-channel.tflite "$photo"
        [ $? = 1 ] || return 1
        case $(tail -n 1 /tmp/said) in
        *'(SIG'*) return 0 ;;
        *'does not respond'*) ;;
        *) return 1 ;;
        esac
    done
    return 1
}

too_new() {
    edge classify --runtime "$runtime" -m /trial/traps/version-12.tflite "$photo"
    [ $? = 1 ] || return 1
    case $(tail -n 1 /tmp/said) in *"FULLY_CONNECTED' version '12'"*) ;; *) return 1 ;; esac
}

# Told, not judged: emulation says nothing about speed, and the emulator's own memory is in it.
tell_costs() { python3 - "$small" "$photo" "$root, $runtime" <<'END'
import resource, subprocess, sys, time
started = time.monotonic()
subprocess.run([sys.executable, "-m", "edge", "classify", "-m", *sys.argv[1:3]], stdout=subprocess.DEVNULL, check=True)
took = time.monotonic() - started
peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(f"       {sys.argv[3]}: cold start to first answer {took:.1f} s, peak {peak_mb:.0f} MB, all under emulation")
END
}

check 'edge-classify' classifies
check 'edge-watch, 100 frames' watches
check 'edge-doctor' doctors
check 'a damaged model is refused' damaged
[ "$runtime" != tflite ] || check 'a model that crashes the runtime is refused, its signal named' crashing
[ "$runtime" != tflite ] || check 'a model with an operator that is too new is refused, the operator named' too_new
tell_costs || status=1
exit $status
