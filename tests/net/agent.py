"""What runs inside a network namespace of the tests: opens, accepts and sniffs connections on behalf of the harness.

Reads one JSON object a line on stdin, {id, fn, args, as}, runs the function in a child of its own with the identity asked for, and writes
{id, result} or {id, error}. Servers and sniffers stay: {id, serve: fn, args} answers once it is ready, {id, log: ID} tells what it saw so far,
{id, stop: ID} ends it. Only the Python standard library.
"""
import ctypes
import errno
import json
import os
import select
import signal
import socket
import struct
import sys
import threading
import time

libc = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_SET_KEEPCAPS, PR_SET_DUMPABLE = 1, 24, 38, 8, 4
CAPS = {"CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "FSETID": 4, "KILL": 5, "SETGID": 6, "SETUID": 7, "NET_BIND_SERVICE": 10,
        "NET_ADMIN": 12, "NET_RAW": 13}


def become(uid=None, gid=None, groups=(), caps=(), no_new_privs=True):
    """Takes an identity as runc does for a container: bounding set, groups, gid, uid, then exactly `caps`."""
    if uid is None:
        return
    keep = sum(1 << CAPS[name] for name in caps)
    for cap in range(41):
        if not keep >> cap & 1:
            libc.prctl(PR_CAPBSET_DROP, cap, 0, 0, 0)
    libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups(list(groups))
    os.setresgid(*[uid if gid is None else gid] * 3)
    os.setresuid(uid, uid, uid)
    # capset(2): version 3, the calling process; effective, permitted, inheritable in two words each.
    header = struct.pack("II", 0x20080522, 0)
    data = struct.pack("IIIIII", keep & 0xffffffff, keep & 0xffffffff, 0, keep >> 32, keep >> 32, 0)
    if libc.syscall(126 if os.uname().machine == "x86_64" else 91, header, data) != 0:
        raise OSError(ctypes.get_errno(), "capset")
    if no_new_privs:
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def name_of(error):
    if isinstance(error, (socket.timeout, TimeoutError)):
        return "ETIMEDOUT"
    return errno.errorcode.get(error.errno, str(error)) if isinstance(error, OSError) else repr(error)


def read_all(sock, limit=1 << 24, until=None, slow=0):
    """Bytes until EOF, an error, `limit` bytes or the text `until`; how it ended."""
    data = b""
    try:
        while len(data) < limit:
            if until is not None and until.encode() in data:
                return data, "open"
            part = sock.recv(65536)
            if not part:
                return data, "eof"
            data += part
            time.sleep(slow)
        return data, "open"
    except OSError as error:
        return data, name_of(error)


# --- what a process of a pod does --------------------------------------------------------------------------------------------------------------

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


def quiet(call, *args):
    try:
        call(*args)
    except OSError:
        pass


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
    return FUNCTIONS[then["fn"]](**then["args"])


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
    return FUNCTIONS[then["fn"]](**then["args"])


def run(command, stdin="", timeout=10):
    """Runs a program; what it wrote and its status."""
    import subprocess
    done = subprocess.run(command, input=stdin.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout)
    return {"code": done.returncode, "out": done.stdout.decode("latin-1"), "err": done.stderr.decode("latin-1")}


def run_json(command):
    """Runs a program that prints JSON."""
    done = run(command)
    return json.loads(done["out"]) if done["code"] == 0 else {"connected": False, "error": done["err"][-300:]}


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


def abstract_sockets():
    """Names of abstract Unix sockets in this network namespace."""
    with open("/proc/net/unix") as f:
        return [line.split()[-1] for line in f if line.rstrip().split()[-1].startswith("@")]


def http_requests(to, port, count, path="/", method="GET", host="example.test", body=0, close_each=False, headers=None):
    """`count` requests one after another on one connection, or each on its own: statuses and sizes."""
    import http.client
    seen = []
    conn = None
    for i in range(count):
        if conn is None:
            conn = http.client.HTTPConnection(to, port, timeout=5)
        conn.request(method, path % i if "%d" in path else path, body=b"x" * body if body else None, headers={"Host": host, **(headers or {})})
        answer = conn.getresponse()
        seen.append([answer.status, len(answer.read())])
        if close_each:
            conn.close()
            conn = None
    if conn:
        conn.close()
    return seen


def idle_http(to, port, seconds):
    """Two requests on one connection with a pause between them: their statuses."""
    import http.client
    conn = http.client.HTTPConnection(to, port, timeout=5)
    seen = []
    for i in range(2):
        if i:
            time.sleep(seconds)
        conn.request("GET", "/idle")
        answer = conn.getresponse()
        answer.read()
        seen.append(answer.status)
    return seen


def websocket(to, port, message):
    """Opens a WebSocket, sends a message, gives the echo."""
    import base64
    sock = socket.create_connection((to, port), 5)
    sock.sendall(("GET /ws HTTP/1.1\r\nHost: example.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                  "Sec-WebSocket-Key: %s\r\n\r\n" % base64.b64encode(os.urandom(16)).decode()).encode())
    head, _ = read_all(sock, until="\r\n\r\n")
    mask = os.urandom(4)
    data = message.encode()
    sock.sendall(bytes([0x81, 0x80 | len(data)]) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))
    echo, _ = read_all(sock, 2 + len(data))
    sock.close()
    return {"status": head.split(b"\r\n")[0].decode(), "echo": echo[2:].decode("latin-1")}


def https_get(to, port, server_name, path="/"):
    """A GET over TLS, the certificate not looked at."""
    import ssl
    context = ssl._create_unverified_context()
    with context.wrap_socket(socket.create_connection((to, port), 5), server_hostname=server_name) as sock:
        sock.sendall(("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % (path, server_name)).encode())
        data, _ = read_all(sock)
    return {"status": data.split(b"\r\n")[0].decode(), "size": len(data)}


# --- servers and sniffers: generators of nothing, that call ready() once and log() what they see -----------------------------------------------

def tcp_server(ready, log, port, host="::", kind="echo", banner="hello\n", size=0, fin_first=False, certificate=None, hold=0):
    """Kinds: echo, banner (speaks first, then echoes), sink (reads to EOF, then tells how much), source (sends `size` bytes),
    http (answers GET with the path, or `size` bytes), silent (accepts and holds), forget (its socket vanishes)."""
    sock = socket.socket(family_of(host), socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family_of(host) == socket.AF_INET6 and host == "::":
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.bind((host, port))
    sock.listen(512)
    ready()
    context = None
    if certificate:
        import ssl
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)

    def handle(conn, peer):
        total = 0
        try:
            if context:
                conn = context.wrap_socket(conn, server_side=True)
            if kind == "forget":
                # Reads until its peer has ended, then is gone; its own FIN and RST do not get out of its host.
                conn.settimeout(3)
                read_all(conn)
                time.sleep(0.2)  # until the end is acknowledged
                conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                conn.sendall(b"")
                return
            if kind == "banner":
                conn.sendall(banner.encode())
            if kind == "silent":
                time.sleep(hold or 600)
            if kind == "source":
                conn.sendall(b"s" * size)
            if kind == "http":
                return http_server_connection(conn, log, peer, size)
            while kind != "source":
                part = conn.recv(65536)
                if not part:
                    break
                total += len(part)
                if kind in ("echo", "banner"):
                    conn.sendall(part)
            if kind == "sink":
                conn.sendall(b"%d\n" % total)
        except OSError as error:
            log({"peer": clean(peer), "total": total, "error": name_of(error)})
        finally:
            conn.close()
            log({"closed": clean(peer), "total": total})

    while True:
        conn, peer = sock.accept()
        log({"peer": clean(peer)})
        threading.Thread(target=handle, args=(conn, peer), daemon=True).start()


def clean(peer):
    return [peer[0].removeprefix("::ffff:"), peer[1]]


def http_server_connection(conn, log, peer, size):
    import base64
    import hashlib
    buffer = b""
    while True:
        while b"\r\n\r\n" not in buffer:
            part = conn.recv(65536)
            if not part:
                return
            buffer += part
        head, buffer = buffer.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:] if ": " in line)}
        need = int(headers.get("content-length", 0))
        while len(buffer) < need:
            part = conn.recv(65536)
            if not part:
                return
            buffer += part
        buffer = buffer[need:]
        log({"peer": clean(peer), "request": lines[0], "headers": lines[1:], "body": need})
        if headers.get("upgrade", "").lower() == "websocket":
            accept = hashlib.sha1((headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
            conn.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
                         + base64.b64encode(accept) + b"\r\n\r\n")
            frame = conn.recv(65536)
            mask, data = frame[2:6], frame[6:]
            conn.sendall(bytes([0x81, len(data)]) + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))
            continue
        if "/slow" in lines[0]:
            time.sleep(1.3)
        body = b"b" * size if size else lines[0].split(" ")[1].encode()
        status = b"503 Service Unavailable" if "/fail" in lines[0] else b"200 OK"
        conn.sendall(b"HTTP/1.1 " + status + b"\r\nX-Case-Kept: yes\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        if headers.get("connection", "").lower() == "close":
            return


def udp_server(ready, log, port, host="::"):
    """Answers every datagram with what it got."""
    sock = socket.socket(family_of(host), socket.SOCK_DGRAM)
    if host == "::":
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.bind((host, port))
    ready()
    while True:
        data, peer = sock.recvfrom(65536)
        log({"peer": clean(peer), "data": data[:200].decode("latin-1")})
        sock.sendto(data, peer)


def sniff(ready, log, device, snap=160):
    """Every frame on the device: {from: "pod" (came out of it) or "outer", kind, src, dst, proto, sport, dport, flags}."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    sock.bind((device, 0))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
    ready()
    while True:
        frame, meta = sock.recvfrom(65536)
        log(describe(frame[:snap], "outer" if meta[2] == 4 else "pod"))


def describe(frame, side):
    kind = struct.unpack("!H", frame[12:14])[0]
    seen = {"from": side, "kind": "%04x" % kind}
    body = frame[14:]
    if kind == 0x0800:
        seen.update(proto=body[9], src=socket.inet_ntop(socket.AF_INET, body[12:16]), dst=socket.inet_ntop(socket.AF_INET, body[16:20]))
        body = body[(body[0] & 15) * 4:]
    elif kind == 0x86dd:
        seen.update(proto=body[6], src=socket.inet_ntop(socket.AF_INET6, body[8:24]), dst=socket.inet_ntop(socket.AF_INET6, body[24:40]))
        following, body = body[6], body[40:]
        while following in (0, 43, 60) and len(body) >= 8:
            following, body = body[0], body[(body[1] + 1) * 8:]
            seen["proto"] = following
    else:
        return seen
    if seen["proto"] in (6, 17, 136) and len(body) >= 4:
        seen["sport"], seen["dport"] = struct.unpack("!HH", body[:4])
        if seen["proto"] == 6 and len(body) >= 14:
            seen["flags"] = "".join(letter for bit, letter in enumerate("FSRPA") if body[13] >> bit & 1)
    elif seen["proto"] in (1, 58) and body:
        seen["type"] = body[0]
    return seen


FUNCTIONS = {f.__name__: f for f in (tcp, udp, ping, raw, dgram, packet, take_uid, user_namespace, run, run_json, crossing, call_again, inherit,
                                     forge_syn_ack, fast_open, abstract_sockets,
                                     http_requests, idle_http, websocket, https_get)}
SERVERS = {f.__name__: f for f in (tcp_server, udp_server, sniff)}


# --- the agent ---------------------------------------------------------------------------------------------------------------------------------

class Child:
    """A forked child that writes JSON lines into a pipe."""

    def __init__(self, identity, work):
        reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(reader)
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            lock = threading.Lock()

            def say(value):
                line = (json.dumps(value) + "\n").encode()
                with lock:
                    while line:
                        line = line[os.write(writer, line):]
            try:
                become(**identity)
                # A change of credentials clears it.
                libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
                work(say)
            except BaseException as error:  # the harness shows it
                import traceback
                say({"error": name_of(error) + " " + traceback.format_exc()[-600:]})
            os._exit(0)
        os.close(writer)
        self.reader = reader
        self.buffer = b""


def main():
    children = {}
    logs = {}
    ready = {}
    stdin = b""
    say = lambda value: (sys.stdout.write(json.dumps(value) + "\n"), sys.stdout.flush())
    say({"id": 0, "result": "up"})
    while True:
        sources = {child.reader: id for id, child in children.items()}
        for fd in select.select([0, *sources], [], [])[0]:
            if fd == 0:
                data = os.read(0, 1 << 20)
                if not data:
                    for child in children.values():
                        quiet(os.kill, child.pid, signal.SIGKILL)
                    return
                *lines, stdin = (stdin + data).split(b"\n")
                for line in lines:
                    order(json.loads(line), children, logs, ready, say)
                continue
            id = sources[fd]
            child = children.get(id)
            if child is None:
                continue
            data = os.read(fd, 1 << 20)
            *lines, child.buffer = (child.buffer + data).split(b"\n")
            for line in lines:
                value = json.loads(line)
                if id not in logs:
                    say({"id": id, **value})
                elif "ready" in value:
                    say({"id": ready.pop(id), "result": id})
                elif "error" in value and id in ready:
                    say({"id": ready.pop(id), "error": value["error"]})
                else:
                    logs[id].append(value)
            if not data:
                os.close(fd)
                os.waitpid(child.pid, 0)
                del children[id]


def order(command, children, logs, ready, say):
    id, args, identity = command["id"], command.get("args", {}), command.get("as") or {}
    if "fn" in command:
        children[id] = Child(identity, lambda tell: tell({"result": FUNCTIONS[command["fn"]](**args)}))
    elif "serve" in command:
        logs[id], ready[id] = [], id
        children[id] = Child(identity, lambda tell: SERVERS[command["serve"]](lambda: tell({"ready": True}), tell, **args))
    elif "log" in command:
        # A moment for what is on its way in the pipe.
        target = command["log"]
        child = children.get(target)
        while child and select.select([child.reader], [], [], 0.02)[0]:
            data = os.read(child.reader, 1 << 20)
            if not data:
                break
            *lines, child.buffer = (child.buffer + data).split(b"\n")
            logs[target] += [json.loads(line) for line in lines]
        say({"id": id, "result": logs[target][command.get("from", 0):]})
    elif "stop" in command:
        child = children.pop(command["stop"], None)
        if child:
            os.kill(child.pid, signal.SIGKILL)
            os.close(child.reader)
            os.waitpid(child.pid, 0)
        say({"id": id, "result": True})


main()
