// The program of VirtualSquare's vdestack tutorial: a stack on a virtual Ethernet, addresses by `stack.ip`, and an echo on port 5000 for both
// families, by one listener.
//   npx tsx examples/vdestack.ts [--link vxvde://234.0.0.1] [--address 10.0.0.50/24 --address fc00::1:50/64] [--gateway G] [--port 5000]
// Then, on this machine or another of its network:
//   vdens vxvde://234.0.0.1        (or: vde_plug vxvde://234.0.0.1 tap://vde0, as root)
//   ip addr add 10.0.0.1/24 dev vde0; ip addr add fc00::1:1/64 dev vde0; ip link set vde0 up
//   ping 10.0.0.50; ping fc00::1:50; nc 10.0.0.50 5000; nc fc00::1:50 5000
import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { createStack, openLink } from 'tapstack'

// What cannot be done is told in one line.
process.once('uncaughtException', (error) => {
  console.error(error.message)
  process.exit(1)
})

const { values } = parseArgs({
  options: {
    link: { type: 'string', default: 'vxvde://234.0.0.1' },
    address: { type: 'string', multiple: true, default: ['10.0.0.50/24', 'fc00::1:50/64'] },
    gateway: { type: 'string', multiple: true, default: [] },
    port: { type: 'string', default: '5000' },
  },
})

const stack = createStack({ name: 'vdestack' })
stack.attach(await openLink(values.link), { name: 'vde0' })
stack.onLinkClosed = (_, error) => {
  console.error(error?.message ?? 'the link has ended')
  void stack.close()
}

// As vde_stackcmd() takes it: '/bin/busybox ip addr add 10.0.0.50/24 dev vde0; ...; /bin/busybox ip link set vde0 up'
stack.ip(`${values.address.map((a) => `/bin/busybox ip addr add ${a} dev vde0; `).join('')}/bin/busybox ip link set vde0 up`)
for (const gateway of values.gateway) stack.ip(`/bin/busybox ip route add default via ${gateway}`)

const server = stack.net.createServer({ allowHalfOpen: true }, (socket) => {
  const peer = socket.remoteAddress // ::ffff:10.0.0.1 for a peer of IPv4
  console.log(`${peer} connected`)
  socket.on('error', (error) => console.log(`${peer} ${error.message}`))
  socket.on('close', () => console.log(`${peer} closed: ${socket.bytesRead} bytes`))
  socket.pipe(socket)
})
server.listen(Number(values.port), '::')
await once(server, 'listening')

console.log(`${stack.ip('addr show dev vde0')}${stack.ip('route')}${stack.ip('-6 route')}`)
console.log(`ready: echo on port ${values.port}`)

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stack.close())
