"""What every part of the agent needs."""
import errno
import socket
import time


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


def quiet(call, *args):
    try:
        call(*args)
    except OSError:
        pass
