import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type Port, PortLink } from '../../examples/netif.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { netifConformance } from '../support/netif-conformance.ts'

/** Two ports whose messages arrive as events of the host, copied, as structured cloning does. */
function ports(host: VirtualHost): [Port, Port] {
  class FakePort implements Port {
    peer: FakePort = this
    onmessage: Port['onmessage'] = null
    private closed = false

    postMessage(frame: Uint8Array): void {
      if (this.closed) return
      const data = frame.slice()
      host.soon({ run: () => this.peer.onmessage?.({ data }) })
    }

    close(): void {
      this.closed = true
    }
  }
  const a = new FakePort()
  const b = new FakePort()
  a.peer = b
  b.peer = a
  return [a, b]
}

netifConformance(
  'the example of docs/links.md',
  () => {
    const host = new VirtualHost()
    const [a, b] = ports(host)
    return { a: new PortLink(a), b: new PortLink(b), host, settle: () => void host.run() }
  },
  { refuses: false },
)

describe('docs/links.md', () => {
  it('shows the example as it is', () => {
    const example = readFileSync(new URL('../../examples/netif.ts', import.meta.url), 'utf8')
    const docs = readFileSync(new URL('../../docs/links.md', import.meta.url), 'utf8')
    expect(docs).toContain(`\`\`\`ts\n${example}\`\`\``)
    expect(example.split('\n').length).toBeLessThanOrEqual(72)
  })
})
