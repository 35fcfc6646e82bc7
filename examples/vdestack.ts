// The program of VirtualSquare's vdestack tutorial: addresses by `stack.ip`, and an echo on port 5000 for both families, by one listener.
//   npx tsx examples/vdestack.ts [--link tap://tap0?host=10.0.0.1/24,fc00::1:1/64] [--address 10.0.0.50/24 --address fc00::1:50/64] [--port 5000]
// Then: ping 10.0.0.50; ping fc00::1:50; nc 10.0.0.50 5000; nc fc00::1:50 5000
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
    link: { type: 'string', default: 'tap://tap0?host=10.0.0.1/24,fc00::1:1/64' },
    address: { type: 'string', multiple: true, default: ['10.0.0.50/24', 'fc00::1:50/64'] },
    gateway: { type: 'string', multiple: true, default: ['10.0.0.1', 'fc00::1:1'] },
    port: { type: 'string', default: '5000' },
  },
})

const stack = createStack({ name: 'vdestack' })
stack.attach(await openLink(values.link), { name: 'vde0' })

// As vde_stackcmd() takes it. `stack.ipaddr_add(AF_INET, [10, 0, 0, 50], 24, stack.if_nametoindex('vde0'))` and its like do the same.
stack.ip(`${values.address.map((a) => `/bin/busybox ip addr add ${a} dev vde0; `).join('')}/bin/busybox ip link set vde0 up`)
stack.ip(values.gateway.map((g) => `/bin/busybox ip route add default via ${g}; `).join(''))

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
