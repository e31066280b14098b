"""Every frame on a device, in words."""
import socket
import struct

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
