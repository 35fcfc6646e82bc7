// The second program of VirtualSquare's vdestack tutorial: configured by the functions of nlinline, with default gateways.
//   npx tsx examples/vdestack_nl.ts [--link vxvde://234.0.0.1] [--port 5000]
// Then, as in vdestack.ts: ping 10.0.0.60; ping fc00::1:60; nc 10.0.0.60 5000; nc fc00::1:60 5000
import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { AF_INET, AF_INET6, createStack, openLink } from 'tapstack'

process.once('uncaughtException', (error) => {
  console.error(error.message)
  process.exit(1)
})

const { values } = parseArgs({
  options: { link: { type: 'string', default: 'vxvde://234.0.0.1' }, port: { type: 'string', default: '5000' } },
})

const stack = createStack({ name: 'vdestack_nl' })
stack.attach(await openLink(values.link), { name: 'vde0' })
stack.onLinkClosed = (_, error) => {
  console.error(error?.message ?? 'the link has ended')
  void stack.close()
}

// Addresses are bytes in network order, as in C, or text.
const ifindex = stack.if_nametoindex('vde0')
stack.linksetupdown(ifindex, 1)
stack.ipaddr_add(AF_INET, [10, 0, 0, 60], 24, ifindex)
stack.iproute_add(AF_INET, null, 0, [10, 0, 0, 1])
stack.ipaddr_add(AF_INET6, 'fc00::1:60', 64, ifindex)
stack.iproute_add(AF_INET6, null, 0, 'fc00::1:1')

const server = stack.net.createServer({ allowHalfOpen: true }, (socket) => {
  socket.on('error', (error) => console.log(error.message))
  socket.pipe(socket)
})
server.listen(Number(values.port), '::')
await once(server, 'listening')
console.log(`ready: echo on port ${values.port} of 10.0.0.60 and fc00::1:60`)

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stack.close())
