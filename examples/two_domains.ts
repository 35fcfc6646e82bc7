// Two domains and a router between them, in one process: a TCP echo across, and the way there hop by hop, in both families.
//   npx tsx examples/two_domains.ts
// No root, no kernel: stacks joined by pipes. `openLink('tap://...')` in place of a pipe makes a domain a real one.
import { once } from 'node:events'
import { createPipe, createStack } from 'tapstack'

const left = createStack({ name: 'left' })
const router = createStack({ name: 'router', forwarding: true })
const right = createStack({ name: 'right' })

const [leftEnd, routerLeft] = createPipe()
const [rightEnd, routerRight] = createPipe()
const interfaces = [
  router.attach(routerLeft, { name: 'west', addresses: ['10.1.0.1/24', 'fd00:1::1/64'] }),
  router.attach(routerRight, { name: 'east', addresses: ['10.2.0.1/24', 'fd00:2::1/64'] }),
  left.attach(leftEnd, { addresses: ['10.1.0.2/24', 'fd00:1::2/64'], gateway: ['10.1.0.1', 'fd00:1::1'] }),
  right.attach(rightEnd, { addresses: ['10.2.0.2/24', 'fd00:2::2/64'], gateway: ['10.2.0.1', 'fd00:2::1'] }),
]
await Promise.all(interfaces.map((i) => i.ready))

const server = right.net.createServer((socket) => socket.pipe(socket))
server.listen(7)
await once(server, 'listening')

for (const host of ['10.2.0.2', 'fd00:2::2']) {
  const socket = left.net.connect({ host, port: 7 })
  socket.end(`hello over ${host.includes(':') ? 'IPv6' : 'IPv4'}`)
  const [echo] = await once(socket, 'data')
  console.log(`${host} echoes: ${echo}`)
  await once(socket, 'close')

  console.log(`traceroute to ${host}`)
  for await (const { hop, answers } of left.traceroute(host, { queries: 1 })) {
    const [{ from = '*', timeMs = 0 }] = answers
    console.log(`  ${hop}  ${from}  ${timeMs.toFixed(3)} ms`)
  }
}

const { 'ip.forward': v4, 'ip6.forward': v6 } = router.counters(true)
console.log(`the router sent on ${v4.outForwDatagrams} packets of IPv4 and ${v6.outForwDatagrams} of IPv6`)

server.close()
for (const stack of [left, router, right]) await stack.close()
