"""What a process of a pod tries: one function an attempt."""
import ctypes
import errno
import json
import os
import socket
import struct
import subprocess
import threading
import time

from identity import PR_SET_DUMPABLE, libc
from sockets import family_of, name_of, quiet, read_all

def tcp(to, port, send="", bind=None, bind_port=0, device=None, protocol=0, timeout=4, shutdown=False, until=None, limit=1 << 24, hold=0,
        reuse=False, size=0, at_once=False, linger=None, rthdr=None, pause=0, slow=0, before_shutdown=0):
    """Connects, sends, reads. `connected` says whether connect() succeeded; `end` how reading ended."""
    family = family_of(to)
    sock = socket.socket(family, socket.SOCK_STREAM, protocol)
    sock.settimeout(timeout)
    started = time.monotonic()
    out = {"connected": False, "error": None, "port": 0, "data": "", "end": None}
    try:
        if reuse:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if slow:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        if device:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode() + b"\0")
        if rthdr:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RTHDR, bytes.fromhex(rthdr))
        if bind or bind_port:
            sock.bind((bind or ("::" if family == socket.AF_INET6 else "0.0.0.0"), bind_port))
        sock.connect((to, port))
        out["connected"] = True
        out["connect_ms"] = (time.monotonic() - started) * 1000
        out["port"] = sock.getsockname()[1]
        if pause:
            time.sleep(pause)
        payload = send.encode() if isinstance(send, str) else b""
        if size:
            payload += b"\x00" * size
        if payload and at_once:
            # Data and FIN in one segment.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        if payload:
            sender = threading.Thread(target=lambda: quiet(sock.sendall, payload))
            sender.start()
            if not size:
                sender.join()
        if shutdown:
            if size:
                sender.join()
            if before_shutdown:
                time.sleep(before_shutdown)
            sock.shutdown(socket.SHUT_WR)
        if linger is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, linger))
        if limit:
            data, out["end"] = read_all(sock, limit, until, slow)
            out["size"] = len(data)
            out["data"] = data[:4096].decode("latin-1")
        if hold:
            time.sleep(hold)
    except OSError as error:
        out["error"] = name_of(error)
        try:
            out["port"] = sock.getsockname()[1]
        except OSError:
            pass
    out["ms"] = (time.monotonic() - started) * 1000
    sock.close()
    return out


def udp(to, port, send="x", protocol=0, timeout=0.3, connect=False, size=0):
    """Sends one datagram and waits for an answer."""
    sock = socket.socket(family_of(to), socket.SOCK_DGRAM, protocol)
    sock.settimeout(timeout)
    out = {"sent": False, "error": None, "data": ""}
    try:
        payload = send.encode("latin-1") or b"x" * size
        if connect:
            sock.connect((to, port))
            sock.send(payload)
        else:
            sock.sendto(payload, (to, port))
        out["sent"] = True
        out["data"] = sock.recv(65536).decode("latin-1")
    except OSError as error:
        out["error"] = name_of(error)
    sock.close()
    return out


def ping(to):
    """An echo request from a ping socket, which needs no capability."""
    v6 = ":" in to
    sock = socket.socket(family_of(to), socket.SOCK_DGRAM, 58 if v6 else 1)
    sock.settimeout(0.3)
    out = {"sent": False, "error": None}
    try:
        sock.sendto(struct.pack("!BBHHH", 128 if v6 else 8, 0, 0, 1, 1) + b"data-space-marker", (to, 0))
        out["sent"] = True
        sock.recv(2048)
        out["answered"] = True
    except OSError as error:
        out["error"] = name_of(error)
    sock.close()
    return out


def raw(to, protocol, payload):
    """A packet with an IP protocol of its own choice; needs NET_RAW."""
    out = {"sent": False, "error": None}
    try:
        sock = socket.socket(family_of(to), socket.SOCK_RAW, protocol)
        sock.sendto(bytes.fromhex(payload), (to, 0))
        out["sent"] = True
    except OSError as error:
        out["error"] = name_of(error)
    return out


def dgram(to, protocol, kind=socket.SOCK_DGRAM):
    """A socket of another transport (SCTP, DCCP, L2TP, ...): created and used once, if the kernel has it."""
    out = {"made": False, "sent": False, "error": None}
    try:
        sock = socket.socket(family_of(to), kind, protocol)
        sock.settimeout(0.3)
        out["made"] = True
        if kind == socket.SOCK_DGRAM:
            sock.sendto(b"marker", (to, 0))
        else:
            sock.connect((to, 7))
        out["sent"] = True
    except OSError as error:
        out["error"] = name_of(error)
    return out


def packet(device, to_mac, payload):
    """A whole frame on the device; needs NET_RAW."""
    out = {"sent": False, "error": None}
    try:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        sock.bind((device, 0))
        sock.send(bytes.fromhex(to_mac) + sock.getsockname()[4] + b"\x88\xb5" + bytes.fromhex(payload))
        out["sent"] = True
    except OSError as error:
        out["error"] = name_of(error)
    return out


def take_uid(uid, then):
    """Changes its own uid (row 9), then does `then`, a function with arguments."""
    try:
        os.setresuid(uid, uid, uid)
    except OSError as error:
        return {"connected": False, "error": name_of(error)}
    return globals()[then["fn"]](**then["args"])


def user_namespace(inside, then):
    """Does `then` in a user namespace of its own in which its uid is called `inside`."""
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
    outside = os.getuid()
    if libc.unshare(0x10000000) != 0:
        return {"connected": False, "error": "unshare " + errno.errorcode.get(ctypes.get_errno(), "?")}
    with open("/proc/self/setgroups", "w") as f:
        f.write("deny")
    with open("/proc/self/uid_map", "w") as f:
        f.write("%d %d 1" % (inside, outside))
    os.setresuid(inside, inside, inside)
    return globals()[then["fn"]](**then["args"])


def run(command, stdin="", timeout=10):
    """Runs a program; what it wrote, its status, how long it took."""
    started = time.monotonic()
    done = subprocess.run(command, input=stdin.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout)
    ms = (time.monotonic() - started) * 1000
    return {"code": done.returncode, "out": done.stdout.decode("latin-1"), "err": done.stderr.decode("latin-1"), "ms": ms}


def run_json(command):
    """Runs a program that prints JSON."""
    done = run(command)
    return json.loads(done["out"]) if done["code"] == 0 else {"connected": False, "error": done["err"][-300:]}


def fast_open(to, port, send):
    """TCP Fast Open: data with the SYN."""
    sock = socket.socket(family_of(to), socket.SOCK_STREAM)
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", 3, 0))
    out = {"connected": False, "error": None, "port": 0, "data": ""}
    try:
        sock.sendto(send.encode(), 0x20000000, (to, port))
        out["connected"] = True
        out["port"] = sock.getsockname()[1]
        out["data"] = read_all(sock, len(send))[0].decode("latin-1")
    except OSError as error:
        out["error"] = name_of(error)
    return out


def listens(port, timeout):
    """Whether somebody listens on a port of loopback, as soon as it is so; looks every ms."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.001)
    return False


def answers(to, port, timeout=10):
    """Asks a server again and again, every ms, until it answers by HTTP; the first line of the answer."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        try:
            with socket.create_connection((to, port), 1) as sock:
                sock.sendall(b"GET / HTTP/1.1\r\nHost: example.test\r\nConnection: close\r\n\r\n")
                line = sock.makefile().readline().strip()
                if line:
                    return line
        except OSError:
            pass
        time.sleep(0.001)
    return None
