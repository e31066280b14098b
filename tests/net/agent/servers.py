"""Servers: each calls ready() once and log() with what it sees, and never returns."""
import base64
import hashlib
import socket
import ssl
import struct
import threading
import time

from sockets import family_of, name_of, read_all

def tcp_server(ready, log, port, host="::", kind="echo", banner="hello\n", size=0, fin_first=False, certificate=None, hold=0, wait=0):
    """Kinds: echo, banner (speaks first, then echoes), sink (reads to EOF, waits `hold` s, then tells how much), source (sends `size` bytes),
    http (answers GET with the path, or `size` bytes), silent (accepts and holds), forget (its socket vanishes). All read only after `wait` s."""
    sock = socket.socket(family_of(host), socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family_of(host) == socket.AF_INET6 and host == "::":
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.bind((host, port))
    sock.listen(512)
    ready()
    context = None
    if certificate:

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
            time.sleep(wait)
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
                time.sleep(hold)
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
