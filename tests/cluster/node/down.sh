#!/bin/sh
# Removes all that a node has made outside of its folder. May be called at any time, also for what is half made or half removed.
# $1: folder of the node; $2: its name
folder=$1 name=$2

# Time at which a process started, in ticks since the machine did: with its id, it names a process for good.
started() {
  sed 's/.*) //' "/proc/$1/stat" 2> /dev/null | cut -d' ' -f20
}
state() {
  sed 's/.*) //' "/proc/$1/stat" 2> /dev/null | cut -d' ' -f1
}

# With the first process of a pid namespace all others in it end, before it is gone itself; their mounts and network go with them.
if read -r pid start 2> /dev/null < "$folder/first-process" && [ "$(started "$pid")" = "$start" ]; then
  kill -9 "$pid"
  tries=0
  while [ "$(started "$pid")" = "$start" ] && [ "$(state "$pid")" != Z ] && [ $tries -lt 500 ]; do
    tries=$((tries + 1))
    sleep 0.02
  done
fi

cgroups() {
  find /sys/fs/cgroup -maxdepth 2 -type d -name "$name" 2> /dev/null
}
tries=0
while [ -n "$(cgroups)" ] && [ $tries -lt 500 ]; do # the kernel may still hold some for a moment
  cgroups | while read -r cgroup; do find "$cgroup" -depth -type d -exec rmdir {} \; 2> /dev/null; done
  [ -z "$(cgroups)" ] || sleep 0.02
  tries=$((tries + 1))
done

ip link delete "$name" 2> /dev/null # gone already, if the network namespace was quicker

left=$(cgroups)
if ip link show "$name" > /dev/null 2>&1; then left="$left link $name"; fi
if [ -n "$left" ]; then
  echo "Cannot remove all of $name: left are $left"
  exit 1
fi
