/**
 * A peer for the load client on the raw shape alone: TCP echo on 7, discard on 9, a source on 19. What the stack itself does, with no
 * Node streams between. `tapstack inetd` is what users run; the difference between the two is the price of the Node shape.
 *
 * usage: inetd-peer LINK ADDRESS/LEN
 */
import { openLink } from '../src/backend/open-link.ts'
import { NodeHost, nodeRandom } from '../src/node/host.ts'
import { Stack } from '../src/stack/stack.ts'
import type { ConnectionHandler, RawConnection } from '../src/tcp/api.ts'

const [url = 'tap://tap0?host=10.0.0.1/24', address = '10.0.0.2/24'] = process.argv.slice(2)
const link = await openLink(url)
const stack = new Stack({ host: new NodeHost(), random: nodeRandom }, { name: 'bench' })
await stack.attach(link, { addresses: [address], probe: false }).ready
link.ref?.(true)

const buf = new Uint8Array(131_072)
const block = new Uint8Array(131_072).fill(0x61)
const options = { noDelay: true, backlog: 1024 }

/** Closes when the peer has. */
function closeAtEnd(c: RawConnection): void {
  if (c.ended) c.close()
}

const echo = {
  onReadable(c: RawConnection) {
    // Never read what cannot be written: the window closes, and the peer waits.
    while (c.readable > 0) {
      const room = Math.min(c.writable, buf.length)
      if (room === 0) {
        c.write(buf, 0, 1) // takes nothing, and asks to be told when there is room
        return
      }
      c.write(buf, 0, c.read(buf, 0, room))
    }
    closeAtEnd(c)
  },
  onWritable(c: RawConnection) {
    echo.onReadable(c)
  },
}
const discard = {
  onReadable(c: RawConnection) {
    while (c.read(buf, 0, buf.length) > 0);
    closeAtEnd(c)
  },
}
const source = {
  onReadable(c: RawConnection) {
    c.skip(c.readable)
    closeAtEnd(c)
  },
  onWritable(c: RawConnection) {
    while (c.write(block, 0, block.length) === block.length);
  },
}
const serve = (handler: ConnectionHandler) => ({
  onConnection(c: RawConnection) {
    c.handler = handler
  },
})
stack.tcp.listen({ port: 7, ...options }, serve(echo))
stack.tcp.listen({ port: 9, ...options }, serve(discard))
stack.tcp.listen(
  { port: 19, ...options },
  {
    onConnection(c) {
      c.handler = source
      source.onWritable(c)
    },
  },
)
process.on('SIGTERM', () => void stack.close().then(() => process.exit(0)))
process.on('SIGINT', () => void stack.close().then(() => process.exit(0)))
console.log(`ready ${link.describe?.() ?? link.name}`)
