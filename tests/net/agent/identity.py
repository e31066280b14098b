"""Takes the identity of a process of a container."""
import ctypes
import os
import struct

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
