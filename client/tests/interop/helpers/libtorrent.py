"""A libtorrent session driven by lines of JSON: one answer for each request."""
import json
import sys

import libtorrent as lt

start = json.loads(sys.argv[1])
settings = {
    "listen_interfaces": "%s:%d" % (start["ip"], start["port"]),
    "outgoing_interfaces": start["ip"],
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_incoming_utp": False,
    "enable_outgoing_utp": False,
    "in_enc_policy": 2,
    "out_enc_policy": 2,
    "ssrf_mitigation": False,
    "upload_rate_limit": start["up"] or 0,
    "download_rate_limit": start["down"] or 0,
    "alert_mask": 0x7FFFFFFF,
    "alert_queue_size": 100000,
}
if start["up"] or start["down"]:
    # Limits hold for every address.
    settings["rate_limit_ip_overhead"] = False
session = lt.session(settings, 1 if start["pex"] else 0)
session.add_extension("ut_metadata")
if start["pex"]:
    session.add_extension("ut_pex")
torrent = None
kept = []


def note():
    """Keeps the last alerts, so that the queue never fills."""
    for alert in session.pop_alerts():
        name = type(alert).__name__
        if name not in ("block_downloading_alert", "block_finished_alert", "picker_log_alert", "log_alert"):
            kept.append("%s %s" % (name, alert.message()[:300]))
    del kept[:-400]


def add(request):
    global torrent
    if request["magnet"]:
        params = lt.parse_magnet_uri(request["magnet"])
    else:
        params = lt.add_torrent_params()
        params.ti = lt.torrent_info(request["torrent"])
    params.save_path = request["dir"]
    params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    torrent = session.add_torrent(params)
    return {}


def status(_):
    now = torrent.status()
    checking = (lt.torrent_status.checking_files, lt.torrent_status.checking_resume_data)
    return {"progress": 0.0 if now.state in checking or not now.has_metadata else now.progress}


def peers(_):
    outgoing = lt.peer_info.local_connection
    return {"peers": [["%s:%d" % peer.ip, bool(peer.flags & outgoing)] for peer in torrent.get_peer_info()]}


def peer(request):
    torrent.connect_peer((request["ip"], request["port"]))
    return {}


def log(_):
    note()
    print("\n".join(kept[-25:]), file=sys.stderr, flush=True)
    return {}


commands = {"add": add, "peer": peer, "status": status, "peers": peers, "log": log, "quit": lambda _: {}}
print("{}", flush=True)
for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = commands[request["do"]](request)
    except Exception as error:
        answer = {"error": repr(error)}
    note()
    print(json.dumps(answer), flush=True)
    if request["do"] == "quit":
        break
