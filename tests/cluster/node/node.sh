#!/bin/sh
# The first process of a node, in namespaces of its own. It mounts what is the node's alone, makes its cgroups, and then only reaps.
# $1: name of the node; $2: its folder; $3: folder of the cache, which it is in; $4: the program to become (pause)
set -eu
name=$1 folder=$2 cache=$3 pause=$4

# Not before our owner has written down who we are: what it does not know of it could not end.
tries=0
until [ -s "$folder/first-process" ]; do
  tries=$((tries + 1))
  [ $tries -lt 400 ] || exit 1
  sleep 0.05
done

hostname "$name"
mount -t tmpfs tmpfs /run
mkdir -p /run/lock /run/node/cache
mount --bind "$cache" /run/node/cache
# Kubernetes writes into folders there, and would leave them on the host.
for hidden in /var/lib /var/log; do
  mount --bind "/run/node/cache${folder#"$cache"}/hidden$hidden" $hidden
done
if ! [ -e "$folder/first-process" ]; then # the cache was in one of them
  mkdir -p "$cache"
  mount --bind /run/node/cache "$cache"
fi
mount --make-rshared /

# kubelet would write these, and they belong to the whole machine. With protectKernelDefaults it reads and compares.
while read -r key value; do
  echo "$value" > "/run/node/${key##*/}"
  mount --bind "/run/node/${key##*/}" "/proc/sys/$key"
done << EOF
vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000
EOF

for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/*; do # one hierarchy, or cgroup v1's many
  if [ -e "$hierarchy/cgroup.procs" ] && [ "${hierarchy##*/}" != unified ]; then mkdir -p "$hierarchy/$name"; fi
done
if [ -e /sys/fs/cgroup/cpuset/cpuset.cpus ]; then
  for file in cpus mems; do
    cat "/sys/fs/cgroup/cpuset/cpuset.$file" > "/sys/fs/cgroup/cpuset/$name/cpuset.$file"
  done
fi

echo ok > "$folder/node-started"
exec "$pause"
