// A DHCP server.
//   npx tsx examples/dhcp_server.ts [--link tap://tap0] [--address 10.0.0.2/24] [--range 10.0.0.100-10.0.0.200]
// Then: ip link set tap0 up; busybox udhcpc -i tap0
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
    range: { type: 'string', default: '10.0.0.100-10.0.0.200' },
  },
})

const stack = createStack({ name: 'dhcp_server' })
const eth0 = stack.attach(await openLink(values.link), { addresses: [values.address] })
await eth0.ready
const [address] = values.address.split('/')
const server = stack.dhcpServer(eth0, {
  ranges: [values.range],
  options: { routers: [address], domainNameServers: [address], domainName: 'lab.example' },
  reservations: [{ mac: '02:00:00:00:00:05', address: values.range.split('-')[0], hostname: 'five' }],
})
server.onLease = (lease, event) => console.log(event, lease.address, lease.mac, lease.hostname ?? '')
console.log(`ready: ${address} on ${eth0.link.name} gives ${values.range}`)

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stack.close())
