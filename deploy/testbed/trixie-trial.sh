#!/bin/sh
# Runs in the second container that test-service.sh boots, as root: a line a check on stdout, "done" at the end. What was
# installed on bookworm is there, and the system's Python is another.
# shellcheck disable=SC2317  # checks are called by name
set -u

# shellcheck source-path=SCRIPTDIR source=trial.sh
. /payload/trial.sh

opt=/opt/edge-classify

works() { takes_a_new_picture; }
unit_says_what_to_run() { within 15 told 'was installed for Python 3.11.*sudo sh /opt/edge-classify/current/deploy/install.sh'; }

doctor_says_it() {
    fails in_words $opt/current/bin/edge-doctor && said 'sudo sh /opt/edge-classify/current/deploy/install.sh' &&
        same "$(wc -l </srv/said)" 1
}

rebuilt_without_a_network() {
    version=$(installed_version)
    sh $opt/current/deploy/install.sh && [ "$(installed_version)" != "$version" ] && within 30 works
}

told_since=0
check '5. bookworm upgraded to trixie: the unit says in a line what to run' unit_says_what_to_run
check '5. and so does edge-doctor' doctor_says_it
check '5. install.sh builds the version again of the wheels that were kept, without a network' rebuilt_without_a_network
check '5. edge-doctor finds nothing that stops the work' $opt/current/bin/edge-doctor
echo 'done'
