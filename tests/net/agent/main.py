"""What runs inside a network namespace of the tests: opens, accepts and sniffs connections on behalf of the harness.

Reads one JSON object a line on stdin, {id, fn, args, as}, runs the function in a child of its own with the identity asked for, and writes
{id, result} or {id, error}. Servers and sniffers stay: {id, serve: fn, args} answers once it is ready, {id, log: ID} tells what it saw so far,
{id, stop: ID} ends it. Only the Python standard library.
"""
import json
import os
import select
import signal
import sys
import threading
import traceback

import attempts
import clients
import servers
import sniffer
import takeovers
from identity import PR_SET_PDEATHSIG, become, libc
from sockets import name_of, quiet

FUNCTIONS = {name: f for module in (attempts, clients, takeovers) for name, f in vars(module).items()
             if callable(f) and getattr(f, "__module__", "") == module.__name__}
SERVERS = {"tcp_server": servers.tcp_server, "udp_server": servers.udp_server, "sniff": sniffer.sniff}


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
            # An order of this round may have ended the child, or taken what it had to say.
            if child is None or not select.select([fd], [], [], 0)[0]:
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
