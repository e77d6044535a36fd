"""Says of each line on standard input, a letter (b: bencode, m: a torrent file) and bytes in hexadecimal, whether
libtorrent takes it. The first line that is printed is its version."""

import sys

import libtorrent as lt

load = getattr(lt, "load_torrent_buffer", None) or lt.torrent_info
print(lt.__version__, flush=True)
for line in sys.stdin:
    kind, _, digits = line.rstrip("\n").partition(" ")
    data = bytes.fromhex(digits)
    try:
        taken = lt.bdecode(data) if kind == "b" else load(data)
        print("accepts" if taken is not None else "refuses", flush=True)
    except Exception as error:
        print("refuses:", error, flush=True)
