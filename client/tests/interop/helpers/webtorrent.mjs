// A WebTorrent client driven by lines of JSON: one answer for each request.
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import WebTorrent from 'webtorrent'

const start = JSON.parse(process.argv[2])
const say = (answer) => process.stdout.write(JSON.stringify(answer) + '\n')
const client = new WebTorrent({
  torrentPort: start.port,
  dht: false,
  lsd: false,
  utp: false,
  secure: false,
  utPex: start.pex,
  natUpnp: false,
  natPmp: false
})
let torrent = null
client.on('error', (error) => console.error('error', error))

const commands = {
  add ({ magnet, torrent: path, dir }) {
    torrent = client.add(magnet ?? readFileSync(path), { path: dir, addUID: false })
    torrent.on('warning', (error) => console.error('warning', error.message))
    torrent.on('wire', (wire, addr) => {
      console.error('connected', addr)
      wire.once('close', () => console.error('closed', addr))
    })
    // It listens once it has a torrent.
    return {}
  },
  peer ({ ip, port }) {
    torrent.addPeer(`${ip}:${port}`)
    return {}
  },
  status: () => ({ progress: torrent.ready ? torrent.progress : 0 }),
  peers: () => ({
    peers: torrent.wires.filter((wire) => wire.remoteAddress)
      .map((wire) => [`${wire.remoteAddress.replace('::ffff:', '')}:${wire.remotePort}`, wire.type === 'tcpOutgoing'])
  }),
  log: () => ({}),
  quit () {
    client.destroy(() => process.exit(0))
    return {}
  }
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const request = JSON.parse(line)
  try {
    say(commands[request.do](request))
  } catch (error) {
    say({ error: String(error) })
  }
})

const listening = setInterval(() => {
  if (!client.listening) return
  clearInterval(listening)
  say({})
}, 20)
