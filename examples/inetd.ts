// Echo, discard, daytime and chargen in the raw shape: synchronous calls and one handler object for all connections of a service.
//   npx tsx examples/inetd.ts [--link tap://tap0?host=10.0.0.1/24] [--address 10.0.0.2/24]
// Then: nc 10.0.0.2 13; nc 10.0.0.2 19 | head. The complete ones, UDP included, are in `npx tapstack inetd`.
import { parseArgs } from 'node:util'
import { type ConnectionHandler, createStack, openLink, type RawConnection } from 'tapstack'

// What cannot be done is told in one line.
process.once('uncaughtException', (error) => {
  console.error(error.message)
  process.exit(1)
})

const { values } = parseArgs({
  options: {
    link: { type: 'string', default: 'tap://tap0?host=10.0.0.1/24' },
    address: { type: 'string', multiple: true, default: ['10.0.0.2/24'] },
  },
})

const link = await openLink(values.link)
const stack = createStack({ name: 'inetd' })
await stack.attach(link, { addresses: values.address }).ready

const piece = new Uint8Array(65536)
const echo: ConnectionHandler = {
  onReadable(c) {
    // No more is read than can be written: what stays closes the window, and the peer waits.
    while (c.readable > 0 && c.writable > 0) c.write(piece, 0, c.read(piece, 0, Math.min(c.writable, piece.length)))
    if (c.stateName === 'CLOSED') return // it was reset: onClose follows
    if (c.readable > 0)
      c.write(piece, 0, 1) // takes nothing, and asks for onWritable
    else if (c.ended) c.shutdown()
  },
  onWritable: (c) => echo.onReadable?.(c),
}

const discard: ConnectionHandler = {
  onReadable(c) {
    c.skip(c.readable)
    if (c.ended) c.shutdown()
  },
}

const daytime = (c: RawConnection): void => {
  const line = new TextEncoder().encode(`${new Date().toUTCString()}\r\n`)
  c.write(line, 0, line.length)
  c.shutdown()
}

const lines = Array.from({ length: 95 }, (_, i) =>
  String.fromCharCode(...Array.from({ length: 72 }, (_, j) => 32 + ((i + j) % 95))),
)
const pattern = new TextEncoder().encode(`${lines.join('\r\n')}\r\n`.repeat(2))
const chargen: ConnectionHandler = {
  onReadable: (c) => c.skip(c.readable),
  onWritable(c) {
    const half = pattern.length / 2
    while (c.write(pattern, c.bytesWritten % half, half) === half);
  },
}

const services: [number, ConnectionHandler, ((c: RawConnection) => void)?][] = [
  [7, echo],
  [9, discard],
  [13, discard, daytime],
  [19, chargen, (c) => chargen.onWritable?.(c)],
]
for (const [port, handler, start] of services) {
  stack.tcp.listen({ port }, { onConnection: (c) => begin(c, handler, start) })
}

function begin(c: RawConnection, handler: ConnectionHandler, start?: (c: RawConnection) => void): void {
  console.log(`${c.remoteAddress}:${c.remotePort} on port ${c.localPort}`)
  c.handler = handler
  if (c.writable > 0) start?.(c) // it may have been reset while it waited
}

console.log(`ready: ${values.address.join(' ')} on ${link.name}, TCP 7 9 13 19`)

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stack.close())
