/** A stack on a tun: IP packets without Ethernet, between the kernel's own tools and ours. See test/support/inside.ts. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openLink } from '../../../src/backend/open-link.ts'
import { createStack, type NodeStack } from '../../../src/node/stack.ts'
import { type Services, startServices } from '../../../src/services/inetd.ts'
import { HOST, listener, noise, OURS, pinged, quietKernel, run, sh, sha256 } from './lab.ts'

beforeAll(quietKernel)

describe.each([
  ['with offload', 'on'],
  ['plain', 'off'],
])('a tun %s', (_, offload) => {
  let stack: NodeStack
  let services: Services

  beforeAll(async () => {
    stack = createStack({ name: 'tun' })
    const tun0 = stack.attach(await openLink(`tun://tun0?host=${HOST}/24&offload=${offload}`), { addresses: [`${OURS}/24`] })
    expect(tun0).toMatchObject({ name: 'tun0', mac: null })
    await tun0.ready
    stack.host.hold()
    services = startServices(stack)
  })

  afterAll(async () => {
    stack.host.release()
    services.close()
    await stack.close()
    expect(sh('ip -br link')).not.toContain('tun0')
  })

  it.each([
    ['-i 0.01', 5],
    ['-i 0.01 -s 65000', 3],
    ['-i 0.01 -s 1472 -M do', 3],
  ])('answers ping %s', async (options, count) => {
    const { received, said } = await pinged(count, options)
    expect(received, said).toBeGreaterThanOrEqual(count)
    expect(said).not.toMatch(/wrong data|DUP|BAD CHECKSUM/)
  })

  it('echoes 5 MB to nc, byte for byte', async () => {
    const bytes = noise(5_000_000, 11)
    const ran = await run(`exec nc -N ${OURS} 7`, { input: bytes })
    expect([ran.code, ran.bytes.length, sha256(ran.bytes)]).toEqual([0, bytes.length, sha256(bytes)])
  })

  it('echoes a datagram in fragments', async () => {
    const bytes = noise(9000, 12)
    const ran = await run(`exec socat -b 65536 -t 0.5 - UDP4:${OURS}:7`, { input: bytes })
    expect(sha256(ran.bytes)).toBe(sha256(bytes))
  })

  it('refuses a closed port at once, and pings the host', async () => {
    const refused = await run(`exec nc -v -w 5 ${OURS} 4444`)
    expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('Connection refused')])
    const replies = []
    for await (const reply of stack.ping(HOST, { count: 2, intervalMs: 10 })) replies.push(reply)
    expect(replies).toMatchObject([{ from: HOST }, { from: HOST }])
  })

  it('connects to a listening socat of the host', async () => {
    const served = await listener(`TCP-LISTEN:5001,bind=${HOST},reuseaddr`, 'EXEC:cat')
    const bytes = noise(200_000, 13)
    const got: Buffer[] = []
    await new Promise<void>((resolve, reject) => {
      const socket = stack.net.connect(5001, HOST)
      socket.on('data', (data: Buffer) => got.push(data))
      socket.on('error', reject)
      socket.on('close', () => resolve())
      socket.end(bytes)
    })
    expect(sha256(Buffer.concat(got))).toBe(sha256(bytes))
    await served.closed
  })
})
