"""Attempts to take the proxy's place: both sides of each."""
import errno
import os
import select
import socket
import struct
import time

from sockets import family_of, name_of, quiet, read_all

def connect_quietly(sock, to, port):
    sock.setblocking(False)
    try:
        sock.connect((to, port))
    except BlockingIOError:
        pass
    except OSError as error:
        return name_of(error)
    return None


def crossing(to, port, bind, bind_port, device=None, timeout=3):
    """Opens from a fixed port and waits, while the peer opens towards that port (simultaneous open); what came, after a greeting."""
    sock = socket.socket(family_of(to), socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if device:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode() + b"\0")
    sock.bind((bind, bind_port))
    error = connect_quietly(sock, to, port)
    end = time.monotonic() + timeout
    while error is None and time.monotonic() < end:
        select.select([], [sock], [], 0.05)
        if sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 1:  # established
            sock.setblocking(True)
            sock.settimeout(1)
            quiet(sock.sendall, b"from inside")
            data, how = read_all(sock, 12)
            return {"connected": True, "data": data.decode("latin-1"), "end": how}
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            error = errno.errorcode[code]
    sock.close()
    return {"connected": False, "error": error}


def call_again(to, port, bind, bind_port, timeout=3, gap=0.02):
    """The peer of `crossing`: opens again and again from a fixed port, says something, gives the answer."""
    end = time.monotonic() + timeout
    last = None
    while time.monotonic() < end:
        sock = socket.socket(family_of(to), socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.settimeout(0.4)
        try:
            sock.bind((bind, bind_port))
            sock.connect((to, port))
            sock.sendall(b"from outside")
            data, last = read_all(sock, 11)
            if data:
                return {"connected": True, "data": data.decode("latin-1")}
        except OSError as error:
            last = name_of(error)
        sock.close()
        time.sleep(gap)
    return {"connected": False, "error": last}


def inherit(to, port, bind, bind_port, reveal=False, timeout=1.5):
    """Row 22: opens from a port that the proxy used before. With `reveal` (needs NET_ADMIN) tells first what a peer would have to guess."""
    sock = socket.socket(family_of(to), socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    out = {"connected": False, "error": None, "data": ""}
    began = time.monotonic()
    while True:
        try:
            sock.bind((bind, bind_port))
            break
        except OSError as error:  # the proxy's socket is not gone yet
            if time.monotonic() - began > 6:
                return {**out, "error": "bind " + name_of(error)}
            time.sleep(0.1)
    out["waited"] = time.monotonic() - began
    error = connect_quietly(sock, to, port)
    if reveal and error is None:
        # TCP_REPAIR, TCP_REPAIR_QUEUE = send queue, TCP_QUEUE_SEQ; then repair off without a probe of the window.
        sock.setsockopt(socket.IPPROTO_TCP, 19, 1)
        sock.setsockopt(socket.IPPROTO_TCP, 20, 2)
        sequence = sock.getsockopt(socket.IPPROTO_TCP, 21) & 0xffffffff
        sock.setsockopt(socket.IPPROTO_TCP, 19, -1)
        with open(reveal, "w") as f:
            f.write(str(sequence))
    end = time.monotonic() + timeout
    while error is None and time.monotonic() < end:
        select.select([], [sock], [], 0.05)
        if sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 1:
            sock.setblocking(True)
            sock.settimeout(1)
            quiet(sock.sendall, b"stolen")
            data, _ = read_all(sock, 6)
            sock.close()
            return {**out, "connected": True, "data": data.decode("latin-1")}
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            error = errno.errorcode[code]
    sock.close()
    return {**out, "error": error or "ETIMEDOUT"}


def forge_syn_ack(to, port, sport, secret, source, timeout=8):
    """A peer that knows the sequence number of a SYN that it never got: answers it, then notes what comes back."""
    v6 = ":" in to
    end = time.monotonic() + timeout
    while not os.path.exists(secret) or not open(secret).read():
        if time.monotonic() > end:
            return {"forged": False}
        time.sleep(0.01)
    ack = int(open(secret).read())
    sock = socket.socket(family_of(to), socket.SOCK_RAW, socket.IPPROTO_TCP)
    head = struct.pack("!HHIIBBHHH", sport, port, 0x01020304, ack, 0x50, 0x12, 65535, 0, 0)
    a, b = (socket.inet_pton(family_of(to), x) for x in (source, to))
    pseudo = a + b + (struct.pack("!II", len(head), 6) if v6 else struct.pack("!HH", 6, len(head)))
    total = sum(struct.unpack("!%dH" % ((len(pseudo) + len(head)) // 2), pseudo + head))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    sock.sendto(head[:16] + struct.pack("!H", ~total & 0xffff) + head[18:], (to, 0))
    sock.settimeout(0.1)
    end = time.monotonic() + 1
    got = b""
    while time.monotonic() < end:
        try:
            data = sock.recv(65536)
        except OSError:
            continue
        if not v6:
            data = data[(data[0] & 15) * 4:]
        if struct.unpack("!HH", data[:4]) == (port, sport):
            got += data[(data[12] >> 4) * 4:]
    return {"forged": True, "data": got.decode("latin-1")}


def abstract_sockets():
    """Names of abstract Unix sockets in this network namespace."""
    with open("/proc/net/unix") as f:
        return [line.split()[-1] for line in f if line.rstrip().split()[-1].startswith("@")]
