"""Speaks to Deluge's daemon and is driven by lines of JSON: one answer for each request."""
import base64
import json
import socket
import ssl
import struct
import sys
import zlib

import rencode

start = json.loads(sys.argv[1])
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
# The daemon's own certificate is weaker than Debian allows.
context.set_ciphers("DEFAULT@SECLEVEL=0")
wire = context.wrap_socket(socket.create_connection(("127.0.0.1", start["control"]), 30))
calls = 0
torrent = None


def exactly(length):
    data = b""
    while len(data) < length:
        more = wire.recv(length - len(data))
        if not more:
            raise RuntimeError("the daemon has closed the connection")
        data += more
    return data


def call(method, *args, **named):
    """A message is its version, its length, and a compressed list of calls; events come between answers."""
    global calls
    calls += 1
    data = zlib.compress(rencode.dumps(((calls, method, args, named),)))
    wire.sendall(struct.pack("!BI", 1, len(data)) + data)
    while True:
        _, length = struct.unpack("!BI", exactly(5))
        kind, *rest = rencode.loads(zlib.decompress(exactly(length)), decode_utf8=True)
        if kind == 3 or rest[0] != calls:
            continue
        if kind == 2:
            raise RuntimeError(str(rest)[:500])
        return rest[1]


def add(request):
    global torrent
    options = {"download_location": request["dir"], "add_paused": False, "auto_managed": False}
    if request["magnet"]:
        torrent = call("core.add_torrent_magnet", request["magnet"], options)
    else:
        with open(request["torrent"], "rb") as file:
            data = base64.b64encode(file.read())
        torrent = call("core.add_torrent_file", "x.torrent", data, options)
    return {}


def status(_):
    now = call("core.get_torrent_status", torrent, ["progress", "state", "has_metadata"])
    checking = now["state"] in ("Checking", "Error") or not now.get("has_metadata", True)
    return {"progress": 0.0 if checking else now["progress"] / 100}


def peers(_):
    now = call("core.get_torrent_status", torrent, ["peers"])
    return {"peers": [[peer["ip"], False] for peer in now["peers"]]}


def peer(request):
    call("core.connect_peer", torrent, request["ip"], request["port"])
    return {}


def leave(_):
    try:
        call("daemon.shutdown")
    except RuntimeError:
        pass
    return {}


def log(_):
    now = call("core.get_torrent_status", torrent, ["progress", "state", "message", "peers", "num_peers"])
    print(now, file=sys.stderr, flush=True)
    return {}


commands = {"add": add, "peer": peer, "status": status, "peers": peers, "log": log, "quit": leave}
call("daemon.login", "interop", "interop", client_version="2.0.3")
print("{}", flush=True)
for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = commands[request["do"]](request)
    except Exception as error:
        answer = {"error": repr(error)}
    print(json.dumps(answer), flush=True)
    if request["do"] == "quit":
        break
