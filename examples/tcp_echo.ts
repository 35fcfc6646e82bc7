// TCP echo for this machine's own ping, nc and telnet.
//   npx tsx examples/tcp_echo.ts [--link tap://tap0?host=10.0.0.1/24] [--address 10.0.0.2/24] [--port 7]
// Then: ping 10.0.0.2; nc 10.0.0.2 7. In both families: --link tap://tap0?host=10.0.0.1/24,fd00::1/64 --address 10.0.0.2/24 --address fd00::2/64
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
    link: { type: 'string', default: 'tap://tap0?host=10.0.0.1/24' },
    address: { type: 'string', multiple: true, default: ['10.0.0.2/24'] },
    port: { type: 'string', default: '7' },
  },
})

const link = await openLink(values.link)
const stack = createStack({ name: 'tcp_echo' })
const eth0 = stack.attach(link, { addresses: values.address })
await eth0.ready

const server = stack.net.createServer({ allowHalfOpen: true }, (socket) => {
  // One listener for both families: IPv4 comes as ::ffff:10.0.0.1.
  const peer = `${socket.remoteAddress?.replace('::ffff:', '')} port ${socket.remotePort}`
  console.log(`${peer} connected`)
  socket.on('data', (chunk) => console.log(`${peer} sent ${chunk.length} bytes`))
  socket.on('end', () => console.log(`${peer} sent FIN`))
  socket.on('error', (error) => console.log(`${peer} ${error.message}`))
  socket.on('close', () => console.log(`${peer} closed: ${socket.bytesRead} bytes in, ${socket.bytesWritten} bytes out`))
  socket.pipe(socket)
})
server.listen(Number(values.port))
await once(server, 'listening')
console.log(`ready: ${eth0.addresses.join(' ')} on ${link.describe?.() ?? link.name}, TCP echo on port ${values.port}`)

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stack.close())
