/** Two stacks of the core on one pipe, 10.0.0.1 and 10.0.0.2, as an application would have them: on the platform's own host. */
import type { ConfigOverrides } from '../../src/base/config.ts'
import { createPipe } from '../../src/link/pipe.ts'
import { createStack } from '../../src/stack/create.ts'
import type { Stack } from '../../src/stack/stack.ts'

export interface WebPair {
  client: Stack
  server: Stack
  [Symbol.asyncDispose](): Promise<void>
}

export function webPair(overrides: ConfigOverrides = {}): WebPair {
  const [a, b] = createPipe()
  const nd = { dadTransmits: 0 } // addresses are there at once
  const client = createStack({ nd, dns: { hosts: '10.0.0.2 server\n' }, ...overrides })
  const server = createStack({ nd, ...overrides })
  client.attach(a, { addresses: ['10.0.0.1/24', 'fd00::1/64'] })
  server.attach(b, { addresses: ['10.0.0.2/24', 'fd00::2/64'] })
  return {
    client,
    server,
    async [Symbol.asyncDispose]() {
      await Promise.all([client.close(), server.close()])
    },
  }
}

/** Everything that a stream gives, as text. */
export async function textOf(stream: AsyncIterable<Uint8Array>): Promise<string> {
  let text = ''
  for await (const chunk of stream) text += Buffer.from(chunk).toString('latin1')
  return text
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
