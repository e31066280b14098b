"""Honest clients of HTTP."""
import base64
import http.client
import os
import socket
import ssl
import time

from sockets import read_all

def http_requests(to, port, count, path="/", method="GET", host="example.test", body=0, close_each=False, headers=None):
    """`count` requests one after another on one connection, or each on its own: statuses and sizes."""
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
    context = ssl._create_unverified_context()
    with context.wrap_socket(socket.create_connection((to, port), 5), server_hostname=server_name) as sock:
        sock.sendall(("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % (path, server_name)).encode())
        data, _ = read_all(sock)
    return {"status": data.split(b"\r\n")[0].decode(), "size": len(data)}


def http_get_each(to, port, paths, bind=""):
    """GET of each path, one after another on one connection: statuses and bodies."""
    conn = http.client.HTTPConnection(to, port, timeout=10, source_address=(bind, 0) if bind else None)
    seen = []
    for path in paths:
        conn.request("GET", path)
        answer = conn.getresponse()
        seen.append({"status": answer.status, "body": answer.read().decode()})
    conn.close()
    return seen
