"""A libtorrent session for the harness: listens, takes one torrent, runs until it is ended by a signal.

Arguments: ADDRESS PORT FOLDER TORRENT-or-MAGNET
"""
import signal
import sys
import time

import libtorrent as lt

ip, port, folder, what = sys.argv[1:5]
settings = {
    "listen_interfaces": "%s:%s" % (ip, port),
    "outgoing_interfaces": ip,
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_incoming_utp": False,
    "enable_outgoing_utp": False,
    "in_enc_policy": 2,
    "out_enc_policy": 2,
    "ssrf_mitigation": False,
    "stop_tracker_timeout": 3,
}
session = lt.session(settings)
over = []
signal.signal(signal.SIGTERM, lambda *_: over.append(True))
if what.startswith("magnet:"):
    params = lt.parse_magnet_uri(what)
else:
    params = lt.add_torrent_params()
    params.ti = lt.torrent_info(what)
params.save_path = folder
params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
torrent = session.add_torrent(params)
while not over:
    time.sleep(0.05)
# Its trackers are told when it is removed.
session.remove_torrent(torrent)
time.sleep(1)
