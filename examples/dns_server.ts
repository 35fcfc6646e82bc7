// A DNS server for a lab: a zone that can be changed while it is served, and other servers for the rest.
//   npx tsx examples/dns_server.ts [--link tap://tap0] [--address 10.0.0.2/24] [--forward 10.0.0.1]
// Then: ip addr add 10.0.0.1/24 dev tap0; dig @10.0.0.2 www.lab.test
import { parseArgs } from 'node:util'
import { createStack, openLink } from 'tapstack'

// What cannot be done is told in one line.
process.once('uncaughtException', (error) => {
  console.error(error.message)
  process.exit(1)
})

const { values } = parseArgs({
  options: {
    link: { type: 'string', default: 'tap://tap0' },
    address: { type: 'string', default: '10.0.0.2/24' },
    forward: { type: 'string', multiple: true },
  },
})

const stack = createStack({ name: 'dns_server' })
const eth0 = stack.attach(await openLink(values.link), { addresses: [values.address] })
await eth0.ready
const [address] = values.address.split('/')
const server = stack.dnsServer({
  zones: {
    'lab.test': {
      '@': { NS: 'ns', MX: '10 www', TXT: '"a lab"' },
      ns: { A: address },
      www: { A: ['10.0.0.5', '10.0.0.6'], AAAA: 'fd00::5' },
      '*.dev': { CNAME: 'www' },
    },
  },
  forward: values.forward ?? false,
})
server.zone('lab.test')?.set('started', 'TXT', `"${new Date().toISOString()}"`, 0)
console.log(`ready: ${address} on ${eth0.link.name} serves ${server.zones.map((zone) => zone.name).join(' ')}`)

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stack.close())
