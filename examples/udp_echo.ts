// UDP echo.
//   npx tsx examples/udp_echo.ts [--link tap://tap0?host=10.0.0.1/24] [--address 10.0.0.2/24] [--port 7]
// Then: nc -u 10.0.0.2 7
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
const stack = createStack({ name: 'udp_echo' })
await stack.attach(link, { addresses: values.address }).ready

const socket = stack.dgram.createSocket('udp6') // both families
socket.on('message', (message, from) => {
  console.log(`${from.address.replace('::ffff:', '')} port ${from.port} sent ${message.length} bytes`)
  socket.send(message, from.port, from.address)
})
socket.bind(Number(values.port))
await once(socket, 'listening')
console.log(`ready: ${values.address.join(' ')} on ${link.name}, UDP echo on port ${values.port}`)

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stack.close())
