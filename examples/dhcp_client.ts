// An address by DHCP.
//   npx tsx examples/dhcp_client.ts [--link tap://tap0?host=10.0.0.1/24] [--hostname lab]
// With a server on the host's side of the link: dnsmasq -d -i tap0 --port 0 --dhcp-range=10.0.0.100,10.0.0.200
import { parseArgs } from 'node:util'
import { createStack, openLink } from 'tapstack'

// What cannot be done is told in one line.
process.once('uncaughtException', (error) => {
  console.error(error.message)
  process.exit(1)
})

const { values } = parseArgs({
  options: {
    link: { type: 'string', default: 'tap://tap0?host=10.0.0.1/24' },
    hostname: { type: 'string', default: 'tapstack' },
  },
})

const stack = createStack({ name: 'dhcp_client' })
const eth0 = stack.attach(await openLink(values.link), { dhcp: { hostname: values.hostname } })
eth0.onLease = (lease, event) => {
  console.log(event, lease?.prefix ?? '')
  if (lease !== null) console.log(`  routers ${lease.routers} DNS ${lease.nameservers} until ${new Date(lease.expiresAt)}`)
}
await eth0.ready
eth0.link.ref?.(true)
console.log(`ready: ${eth0.addresses} on ${eth0.link.name}; Ctrl-C gives the address back`)

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    await stack.close()
    process.exit()
  })
}
