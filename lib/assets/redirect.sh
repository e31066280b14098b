#!/bin/sh
# Redirect rules of an offloaded pod, loaded by its first init container. In the pod's network namespace, IPv4 and IPv6 alike:
#   - every TCP connection that a process opens is redirected to the proxy's outbound port;
#   - every TCP connection that reaches the pod is redirected to the proxy's inbound port, the health port excepted;
#   - DNS to the given resolvers may leave as it is; everything else (UDP, ICMP, SCTP, ...) is dropped.
# Called as: sh -c SCRIPT redirect KEY=VALUE...; every key is required, none comes from what a consumer can write:
#   proxy-uid=21337 resolvers=10.96.0.10,fd00::a outbound-port=15801 inbound-port=15806 health-port=15821 mark=0xd5 backend=nft
# A second run gives the same rules and leaves connections alone. Any failure ends it with a status other than 0, so that the pod
# does not start. Needs root, NET_ADMIN (and NET_RAW with the legacy back end), iptables 1.8 or newer; for the self-test nc and
# tftp of busybox. It writes no file.
# Comments stand on lines of their own: they are removed before the script is put into a pod.
set -euf

die() {
  echo "redirect: $*" >&2
  exit 1
}

# number MAXIMUM: what is asked of $value.
number() {
  case $value in
    '' | 0* | *[!0-9]* | ???????????*) ;;
    *) [ "$value" -gt "$1" ] || return 0 ;;
  esac
  die "$key: must be a number from 1 to $1"
}

# Parameters. A blank or a newline in a value would add a rule: only digits and characters of addresses get through.
unset uid resolvers outbound inbound health mark backend
[ $# = 7 ] || die 'takes 7 parameters'
for p in "$@"; do
  key=${p%%=*} value=${p#*=}
  case $p in
    # Not 0, which would exempt every process of root.
    proxy-uid=*) number 4294967294 && uid=$value ;;
    outbound-port=*) number 65535 && outbound=$value ;;
    inbound-port=*) number 65535 && inbound=$value ;;
    health-port=*) number 65535 && health=$value ;;
    resolvers=*) resolvers=$value ;;
    backend=nft | backend=legacy) backend=$value ;;
    mark=0xdead | mark=0x | mark=0x0* | mark=0x*[!0-9a-f]* | mark=0x?????????*) die 'mark: must be 0x and up to 8 hex digits, not 0xdead' ;;
    mark=0x*) mark=$value ;;
    *) die "wrong parameter: $p" ;;
  esac
done
# Seven were given and all seven are known: a missing one, or one given twice, ends the script here or below (set -u).
: "$uid$mark$backend$resolvers"
case $health in "$inbound" | "$outbound") inbound=$outbound ;; esac
[ "$inbound" != "$outbound" ] || die 'the ports must differ'

# resolver ADDRESS: sorts it by family. iptables would look a name up, so nothing but addresses may pass.
resolver() {
  case $1 in
    *[!0-9a-fA-F.:]*) ;;
    *:*) resolvers6="$resolvers6 $1" && return ;;
    *[!0-9.]* | *.*.*.*.* | .* | *. | *..* | 0* | *.0[0-9]* | *[3-9][0-9][0-9]* | *2[6-9][0-9]* | *25[6-9]* | *[0-9][0-9][0-9][0-9]*) ;;
    *.*.*.*) resolvers4="$resolvers4 $1" && return ;;
  esac
  die 'resolvers: must be addresses separated by commas'
}
resolvers4='' resolvers6=''
IFS=,
for r in $resolvers; do resolver "$r"; done
unset IFS

# dns TARGET
dns() {
  for r in $nameservers; do
    echo "-A OUTPUT -d $r -p udp --dport 53 -j $1
-A OUTPUT -d $r -p tcp --dport 53 -j $1"
  done
}

# icmp6 CHAIN TYPE...
icmp6() {
  [ "$family" = 6 ] || return 0
  chain=$1
  shift
  for type in "$@"; do echo "-A $chain -p icmpv6 --icmpv6-type $type -j ACCEPT"; done
}

# In the rules: capture ports = outbound and inbound; marked = a connection that the proxy opened or that came from outside.
capture="-p tcp -m multiport --dports $outbound,$inbound"
proxy="-m owner --uid-owner $uid"
others="-m owner ! --uid-owner $uid"
state='-m conntrack --ctstate'

filter() {
  echo "*filter
# What no rule below allows is dropped; a pod forwards nothing.
:INPUT DROP
:FORWARD DROP
:OUTPUT DROP
# Nothing reaches a process through a connection of the proxy that it tried to take over (0xdead: see mangle).
-A INPUT -m connmark --mark 0xdead -j DROP
# Redirected connections reach the capture ports...
-A INPUT $capture $state DNAT -j ACCEPT
# ...direct hits do not: the proxy would connect to itself for ever.
-A INPUT $capture -j DROP
# Containers of one pod may talk to each other.
-A INPUT -i lo -j ACCEPT
# Answers to what OUTPUT allowed, and the ICMP errors about it (path MTU).
-A INPUT $state ESTABLISHED,RELATED -j ACCEPT
# The kubelet's look at the proxy's health; the first OUTPUT rule lets nobody but the proxy answer.
-A INPUT -p tcp --dport $health -j ACCEPT
# A connection that nat did not redirect, because nobody listens where it goes: refused as without a proxy.
-A INPUT -p tcp --syn -j REJECT --reject-with tcp-reset
# Without neighbour discovery there is no IPv6: router advertisement, neighbour solicitation and advertisement.
$(icmp6 INPUT 134 135 136)
# Nobody but the proxy opens or accepts a connection from its ports: whoever binds one while the proxy is down would get
# traffic unseen. SYN and not SYN-ACK, since a simultaneous open needs no SYN-ACK; no --socket-exists, since the answer under
# SYN cookies has no socket. Must stand before the rule of the mark.
-A OUTPUT -p tcp -m multiport --sports $outbound,$inbound,$health --tcp-flags SYN SYN $others -j DROP
# Marked connections. Not by owner alone: what the proxy has queued when it closes a socket is sent without an owner. Not a SYN:
# conntrack remembers a connection longer than its socket lives, and who binds the same source port would inherit the mark.
-A OUTPUT -p tcp ! --syn -m connmark --mark $mark -j ACCEPT
# The proxy's SYN, and its packets that conntrack calls INVALID and gives no mark. TCP only: it needs no other protocol.
-A OUTPUT -p tcp $proxy -j ACCEPT
# What stays in the pod.
-A OUTPUT -o lo -j ACCEPT
# Redirected packets: in this hook their output device is still that of the first destination, so the rule above misses them.
-A OUTPUT -p tcp -d $loopback --dport $outbound $state DNAT -j ACCEPT
# Name resolution, with the given resolvers only.
$(dns ACCEPT)
# Neighbour discovery as above, router solicitation (133), and the multicast reports that switches want (131, 132, 143).
$(icmp6 OUTPUT 131 132 133 135 136 143)
COMMIT"
}

mangle() {
  echo "*mangle
# Direct hits on the capture ports from outside: here, since after nat they look like redirected ones.
-A PREROUTING ! -i lo $capture -j DROP
# From outside: goes to the proxy or is refused, so its answers may leave.
-A PREROUTING ! -i lo -p tcp $state NEW -j CONNMARK --set-mark $mark
# Opened by the proxy.
-A OUTPUT -p tcp $proxy $state NEW -j CONNMARK --set-mark $mark
# A SYN of anybody else on a marked connection: the proxy's socket is gone and somebody took its source port. filter drops the
# SYN; this ends the mark, or a peer that guesses the sequence number could still complete the connection.
-A OUTPUT -p tcp --syn $others -m connmark --mark $mark -j CONNMARK --set-mark 0xdead
# A process may bind its socket to eth0 (SO_BINDTODEVICE needs no capability): its redirected SYN would leave the pod addressed
# to loopback, and a node with route_localnet=1 might take it. Only this hook sees the real device.
-A POSTROUTING ! -o lo -d $loopback_net -j DROP
$early_end
COMMIT"
}
# The proxy cuts a connection whose end comes before it has looked at the first bytes: the end of a sender that closes at once is
# kept back, to come again 0.2 and 0.6 s later and with a count above the limit. Whoever waits for an answer first never notices.
early_end="-A INPUT $capture --tcp-flags FIN,RST FIN -m connbytes --connbytes 0:5 --connbytes-dir original --connbytes-mode packets -j DROP"

nat() {
  echo "*nat
# The health port is the proxy's own: its health must not depend on what is allowed to come in.
-A PREROUTING ! -i lo -p tcp --dport $health -j RETURN
# All other TCP from outside, if anybody listens there: else a tcpSocket probe would find every port open, since the proxy
# accepts first. What this leaves out is refused in filter, never let through.
-A PREROUTING ! -i lo -p tcp $listening -j REDIRECT --to-ports $inbound
# The proxy's own connections would loop.
-A OUTPUT -p tcp $proxy -j RETURN
# What stays in the pod, the proxy's connections to its containers included.
-A OUTPUT -o lo -j RETURN
# DNS over TCP leaves as DNS over UDP does.
$(dns RETURN)
# All other TCP of the pod.
-A OUTPUT -p tcp -j REDIRECT --to-ports $outbound
COMMIT"
}
# Listeners on every address count too (--nowildcard).
listening='-m socket --nowildcard'

# The nft back end, unless set otherwise or the kernel has no nf_tables; never both in one network namespace.
if [ "$backend" = nft ] && ! iptables-nft-save >/dev/null 2>&1; then backend=legacy; fi
# The lock of the legacy back end: nobody else touches these tables, and no file is writable here.
export XTABLES_LOCKFILE=/proc/self/status
# Where the kernel has IPv6 its rules must load, also while the pod has no IPv6 address.
families=4
if [ -e /proc/net/if_inet6 ]; then families='6 4'; fi

select_family() {
  family=$1
  if [ "$family" = 4 ]; then
    tool=iptables-$backend loopback=127.0.0.1 loopback_net=127.0.0.0/8 nameservers=$resolvers4
  else
    tool=ip6tables-$backend loopback=::1 loopback_net=::1 nameservers=$resolvers6
  fi
}

# load TABLE: COMMIT replaces a table as a whole, so there is no moment without rules and nothing left of an earlier run.
load() {
  for f in $families; do
    select_family "$f"
    "$1" | "$tool-restore" -w 5 || return 1
  done
}
rest() {
  mangle
  nat
}
# filter first, in both families: if a later table fails, the pod is closed, not open. Two matches that some kernels lack make
# honest traffic smoother and close nothing: without them the pod starts all the same.
load filter || die 'filter was not loaded'
note=''
if ! load rest; then
  early_end='' note=', without connbytes: connections that end at once are cut'
  if ! load rest; then
    listening='' note="$note, without socket: tcpSocket probes of closed ports succeed"
    load rest || die 'mangle and nat were not loaded'
  fi
fi

# count: the rules of our three tables in a listing.
count() {
  n=0 table=''
  while read -r line; do
    case $line in
      '*'*) table=$line ;;
      -A*) case $table in '*filter' | '*mangle' | '*nat') n=$((n + 1)) ;; esac ;;
    esac
  done
  echo "$n"
}
# Read back: a restore that exits 0 without its effect must not pass.
for f in $families; do
  select_family "$f"
  saved=$("$tool-save") || die "$tool: cannot read the rules back"
  [ "$(echo "$saved" | count)" = "$({ filter && rest; } | count)" ] || die "$tool: rules are missing after the load"
  for line in INPUT FORWARD OUTPUT; do
    case $saved in *":$line DROP"*) ;; *) die "$tool: $line is open after the load" ;; esac
  done
done

# try COMMAND...: has to meet the error that only our rules cause at once. Nobody listens on the outbound port yet, unless the
# proxy runs already: then it answers. A family without a route or an address shows nothing.
try() {
  if said=$("$@" 2>&1 </dev/null); then said=connected; fi
  case "$1 $said" in
    nc*refused* | 'nc connected' | tftp*'not permitted'* | *nreachable* | *ssign\ requested* | *'not available'*) ;;
    *) die "self-test failed: $*: $said" ;;
  esac
}
proof=read-back
if command -v nc tftp >/dev/null; then
  for f in $families; do
    # Addresses of documentation, which nobody has.
    if [ "$f" = 4 ]; then target=192.0.2.1; else target=2001:db8::1; fi
    try nc -w 3 "$target" 9
    try tftp -g -l /dev/null -r x "$target"
  done
  proof='read-back and self-test'
fi
echo "redirect: loaded (back end $backend, IP versions $families), proved by $proof$note" >&2
