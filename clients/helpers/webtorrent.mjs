// A WebTorrent client for the harness: listens, takes one torrent, runs until it is ended by a signal.
// Arguments: FOLDER-OF-node_modules PORT FOLDER TORRENT-or-MAGNET
import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

const [modules, port, folder, what] = process.argv.slice(2)
const { default: WebTorrent } = await import(pathToFileURL(`${modules}/webtorrent/index.js`))
const client = new WebTorrent({
  torrentPort: Number(port), dht: false, lsd: false, utp: false, secure: false, natUpnp: false, natPmp: false
})
client.on('error', (error) => {
  console.error('error', error)
  process.exit(2)
})
const torrent = client.add(what.startsWith('magnet:') ? what : readFileSync(what), { path: folder, addUID: false })
torrent.on('warning', (error) => console.error('warning', error.message))
process.on('SIGTERM', () => client.destroy(() => process.exit(0)))
