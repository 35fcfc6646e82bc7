// usertunnel: a tap here and a tap there are one Ethernet, over TCP or inside the frames of another Ethernet.
//   npx tsx examples/usertunnel.ts tcp server [:5000]            waits for the other end
//   npx tsx examples/usertunnel.ts tcp client 192.0.2.1:5000     connects to it, and again when it was cut
//   npx tsx examples/usertunnel.ts eth 02:00:00:00:aa:0b         to the station of that MAC address, with EtherType 0xcda8
// Options: --tap tap://tap0?host=10.0.0.1/24 (what is to be carried); for eth, --carrier tap://tap1?up (what carries it) and --mac (our address there).
// As the original has it, two zero bytes stand before each frame; `--pad 0` leaves them out, as vde_plug does.
import { parseArgs } from 'node:util'
import { clampMss, etherTunnel, type NetIf, nodeHost, openLink, openTunnel, splice } from 'tapstack'

// What cannot be done is told in one line.
process.once('uncaughtException', (error) => {
  console.error(error.message)
  process.exit(1)
})

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    tap: { type: 'string', default: 'tap://tap0?host=10.0.0.1/24' },
    carrier: { type: 'string', default: 'tap://tap1?up' },
    mac: { type: 'string', default: '02:00:00:00:aa:0a' },
    pad: { type: 'string', default: '2' },
  },
})

async function open([mode, second = '', where = ':5000']: string[]): Promise<NetIf> {
  if (mode === 'eth') return etherTunnel(await openLink(values.carrier), { peer: second, mac: values.mac })
  if (mode === 'tcp' && (second === 'server' || second === 'client')) {
    const m = /^(.*):(\d+)$/.exec(where)
    if (m === null) throw new Error(`${where}: HOST:PORT is expected`)
    return openTunnel({
      place: m[1] === '' ? { port: Number(m[2]) } : { host: m[1].replace(/^\[|\]$/g, ''), port: Number(m[2]) },
      listen: second === 'server',
      wait: true,
      pad: Number(values.pad),
      onChange: ({ state, peer, error, pauseMs }) => {
        const why = error === undefined ? '' : ` (${error.message})`
        console.log(
          `${state}${peer === undefined ? '' : ` ${peer}`}${why}${pauseMs === undefined ? '' : `, again in ${pauseMs} ms`}`,
        )
      },
    })
  }
  throw new Error('usertunnel tcp server [:PORT] | tcp client HOST:PORT | eth MAC')
}

const tunnel = await open(positionals)
const tap = await openLink(values.tap)
const wire = splice(clampMss(tap, { mtu: Math.min(tap.mtu, tunnel.mtu) }), tunnel, nodeHost, {
  onClosed: (link, error) => console.error(error?.message ?? `${link.name} has ended`),
})
for (const link of [tap, tunnel]) link.ref?.(true)
console.log(`ready: ${tap.name} and ${tunnel.describe?.()}`)

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    await wire.close()
    console.log(JSON.stringify(wire.counters()))
  })
}
