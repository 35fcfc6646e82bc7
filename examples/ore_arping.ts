// ORe's arping test: a client of a multiplexer that has no IP address and answers whoever pings its MAC address.
//   npx tsx examples/ore_arping.ts [--link tap://tap0?host=10.0.0.1/24] [--device-mac 52:54:00:12:34:56] [-b] [-e] [-p] [-v]
// Then: arping -i tap0 04:EA:43:01:96:09 (Habets' arping, package `arping`: iputils has another). With -o NAME it is a client of that
// server (`tapstack mux --name NAME`) instead of sharing the link itself; a --link mux://... names the server by its place.
import { parseArgs } from 'node:util'
import { createMux, formatMac, type NetIf, type NetIfSink, nodeHost, openLink } from 'tapstack'

// What cannot be done is told in one line.
process.once('uncaughtException', (error) => {
  console.error(error.message)
  process.exit(1)
})

const { values } = parseArgs({
  options: {
    link: { type: 'string', default: 'tap://tap0?host=10.0.0.1/24' },
    'device-mac': { type: 'string', default: '52:54:00:12:34:56' },
    broadcast: { type: 'boolean', short: 'b', default: false }, // receive broadcast packets
    exit: { type: 'boolean', short: 'e', default: false }, // exit after ten packets
    orename: { type: 'string', short: 'o' }, // name of the ORe instance to connect to
    phys: { type: 'boolean', short: 'p', default: false }, // use the physical MAC address if possible
    verbose: { type: 'boolean', short: 'v', default: false },
  },
})
const log = (line: string): void => {
  if (values.verbose) console.log(line)
}

const mac = values.phys ? 'device' : 'ore'
const options = `mac=${mac}&multicast=off&broadcast=${values.broadcast ? 'on' : 'off'}`
let client: NetIf
if (values.orename !== undefined) client = await openLink(`ore:${values.orename}?${options}`)
else if (/^(mux|ore):/.test(values.link))
  client = await openLink(`${values.link}${values.link.includes('?') ? '&' : '?'}${options}`)
else {
  const mux = createMux(await openLink(values.link), { name: 'ORe', mac: values['device-mac'] })
  client = mux.open({ mac, filter: { multicast: false, broadcast: values.broadcast } })
}
const own = client.mac!
if (values.phys) console.log(`${'macRule' in client && client.macRule === 'device' ? 'got' : "didn't get"} physical device MAC.`)

let packets = 0
const sink: NetIfSink & { run(): void } = {
  host: nodeHost,
  readable: () => nodeHost.soon(sink),
  run: () => {
    if (client.receive(64)) sink.readable()
    client.flush()
  },
  writable: () => undefined, // an answer that found no room is lost, as any ping may be
  closed: (error) => {
    console.log(`the link has ended${error === undefined ? '' : `: ${error.message}`}`)
    process.exit(1)
  },
  input: (bytes, start, end) => {
    const frame = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start)
    log(
      `received packet of ${frame.length} bytes from ${formatMac(frame, 6)} to ${formatMac(frame)}, type ${frame.toString('hex', 12, 14)}`,
    )
    if (isForUs(frame)) answer(frame)
    if (values.exit && ++packets === 10) void client.close()
  },
}

/** An ICMP echo request (RFC 792), whole, in a frame to our own address. */
function isForUs(frame: Buffer): boolean {
  if (own.some((byte, i) => frame[i] !== byte)) log('broadcast packet - dropping.')
  else if (frame.length < 42 || frame.readUInt16BE(12) !== 0x0800 || frame[14] !== 0x45 || frame[23] !== 1)
    log('unknown packet type.')
  else if (frame[34] !== 8) log('this is no ICMP request.')
  else return true
  return false
}

/** The same packet back, from whom it was for to who sent it: both pairs of addresses swapped, and request made reply. */
function answer(frame: Buffer): void {
  const room = 64 // a link may write before a frame (HEADROOM)
  const reply = Buffer.alloc(room + frame.length)
  frame.copy(reply, room)
  frame.copy(reply, room, 6, 12)
  frame.copy(reply, room + 6, 0, 6)
  frame.copy(reply, room + 26, 30, 34)
  frame.copy(reply, room + 30, 26, 30)
  reply[room + 34] = 0
  // RFC 1624: the checksum of what has changed by -0x0800. Swapped addresses change no sum.
  const sum = frame.readUInt16BE(36) + 0x0800
  reply.writeUInt16BE((sum & 0xffff) + (sum >> 16), room + 36)
  client.send(reply, room, reply.length, 0)
  log(`sending ICMP reply, seq ${frame.readUInt16BE(40)}`)
}

client.attach(sink)
client.ref?.(true)
console.log(`opened ${client.name} for ${formatMac(own).toUpperCase()}`)

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(0))
