/** The third way of `npm start`: two stacks in one process, a ping and an echo between them, every frame in one line. */
import { once } from 'node:events'
import { createPipe } from '../link/pipe.ts'
import { createStack } from '../node/stack.ts'
import { frameLog } from './frame-log.ts'

export async function showInMemory(say: (line?: string) => void): Promise<void> {
  // Frames as a wire has them: at most 1500 bytes, with whole checksums.
  const [here, there] = createPipe({ offload: false, names: ['pipe.left', 'pipe.right'] })
  const left = createStack({ name: 'left' })
  const right = createStack({ name: 'right' })
  try {
    left.attach(frameLog(here, say), { mac: '02:00:00:00:00:01', addresses: ['10.0.0.1/24'] })
    right.attach(there, { mac: '02:00:00:00:00:02', addresses: ['10.0.0.2/24'] })

    say('--- 10.0.0.1 pings 10.0.0.2')
    for await (const reply of left.ping('10.0.0.2', { count: 2, intervalMs: 200 })) {
      if (reply.error !== undefined) throw new Error(`ping: ${reply.error}`)
      say(
        `${reply.bytes + 8} bytes from ${reply.from}: icmp_seq=${reply.seq} ttl=${reply.ttl} time=${reply.timeMs.toFixed(3)} ms`,
      )
    }

    say()
    say('--- 10.0.0.1 sends a line to the TCP echo of 10.0.0.2')
    const server = right.net.createServer((socket) => socket.pipe(socket))
    server.listen(7)
    await once(server, 'listening')
    const socket = left.net.connect(7, '10.0.0.2')
    socket.end('Hello from the other stack!')
    let back = ''
    for await (const chunk of socket) back += String(chunk)
    say(`came back: ${JSON.stringify(back)}`)
  } finally {
    await left.close()
    await right.close()
  }
}
