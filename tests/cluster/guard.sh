#!/bin/sh
# Parent of all processes of one test cluster. Reads names from its stdin and starts the script run/NAME for each.
# When stdin ends, because the tests dispose of the cluster or because their process died in whatever way, `ending` is run, every
# process is killed, the clean-up lines are run and the folder goes. So nothing outlives the tests, not even a kill -9 of theirs.
#
# $1: folder of the cluster, with run/. For each process it writes run/NAME.pid, and at its end run/NAME.exit.
cd "$1" || exit 1

finish() {
  trap '' INT TERM HUP
  if [ -f ending ]; then sh ending > logs/ending.log 2>&1 || failed=1; fi
  for file in run/*.pid; do
    name=${file%.pid}
    if [ -f "$file" ] && ! [ -f "$name.exit" ]; then kill -9 "$(cat "$file")"; fi
  done
  wait
  if [ -f cleanup ]; then sh cleanup; fi
  if [ "$failed" ]; then exit 1; fi
  cd / && rm -rf "$1"
  exit 0
}
failed=
trap 'finish "$1"' INT TERM HUP

while read -r name; do
  (
    sh "run/$name" &
    pid=$!
    echo $pid > "run/$name.new" && mv "run/$name.new" "run/$name.pid"
    wait $pid
    echo $? > "run/$name.new" && mv "run/$name.new" "run/$name.exit"
  ) &
done
finish "$1"
