/** TCP MD5 signatures (RFC 2385) with Linux as the peer, both ways, and tshark as the judge of the frames. */
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { capture } from '../../../src/node/capture-file.ts'
import type { ConnectionHandler, RawConnection } from '../../../src/tcp/api.ts'
import { judged, Lab, OURS, quietKernel, run, serve, sh } from './lab.ts'

const HOST = '10.0.0.1'
const KEY = { algorithm: 'md5', key: 'a secret of both' } as const
const SIZE = 300_000

/** Sends back what it hears. */
class Echo implements ConnectionHandler {
  last: RawConnection | null = null
  private readonly buf = new Uint8Array(65_536)
  /** What is in `buf` and was not taken. */
  private from = 0
  private to = 0

  onReadable(c: RawConnection): void {
    this.last = c
    for (;;) {
      this.from += c.write(this.buf, this.from, this.to - this.from)
      if (this.from < this.to) return
      this.from = 0
      this.to = c.read(this.buf, 0, this.buf.length)
      if (this.to === 0) break
    }
    if (c.ended) c.shutdown()
  }

  onWritable(c: RawConnection): void {
    this.onReadable(c)
  }
}

describe.each([
  ['with offload', true],
  ['plain', false],
])('MD5 signatures with Linux, %s', (_, offload) => {
  const own = join(tmpdir(), `tapstack-${process.pid}-signed.pcapng`)
  let lab: Lab
  let md5: string
  const echo = new Echo()

  beforeAll(async () => {
    quietKernel()
    lab = await Lab.open({ offload, wrap: (link) => capture(link, own) })
    md5 = lab.file('md5')
    sh(`cc -O1 -o ${md5} ${new URL('md5.c', import.meta.url).pathname}`)
    lab.stack.tcp.listen({ port: 179, keys: [{ ...KEY, peer: '10.0.0.0/24' }] }, { onConnection: (c) => (c.handler = echo) })
  })

  afterAll(async () => {
    await lab.close()
    rmSync(own, { force: true })
  })

  it('Linux connects to us', async () => {
    const ran = await run(`exec ${md5} connect ${OURS} 179 ${OURS} '${KEY.key}' ${SIZE}`)
    expect(ran.err).toBe('')
    expect(ran.out).toBe(`same ${SIZE}\n`)
    const info = echo.last!.info()
    expect(info).toMatchObject({ signed: 'md5', sack: true, timestamps: false, mss: 1440 })
    expect(lab.troubles('tcp.tcpTimeWaited')).toEqual({})
  })

  it('we connect to Linux', async () => {
    const server = await serve(md5, ['serve', HOST, '1790', OURS, KEY.key], /listening/)
    let got = 0
    let sent = 0
    let info: unknown
    const data = new Uint8Array(SIZE).map((_, i) => i * 7 + (i >> 8))
    const closed = new Promise<string>((resolve) => {
      const write = (c: RawConnection): void => {
        sent += c.write(data, sent, SIZE - sent)
        if (sent === SIZE) c.shutdown()
      }
      lab.stack.tcp.open(
        { remoteAddress: HOST, remotePort: 1790, keys: [KEY] },
        {
          onConnect: (c) => {
            info = c.info()
            write(c)
          },
          onWritable: (c) => sent < SIZE && write(c),
          onReadable: (c) => {
            const buf = new Uint8Array(c.readable)
            c.read(buf, 0, buf.length)
            for (const byte of buf) if (byte !== data[got++]) throw new Error(`byte ${got - 1} differs`)
          },
          onClose: (_, error) => resolve(error === null ? 'well' : String(error)),
        },
      )
    })
    expect(await closed).toBe('well')
    expect(got).toBe(SIZE)
    expect(info).toMatchObject({ signed: 'md5' })
    expect(await server.closed).toBe(0)
    expect(lab.troubles()).toEqual({})
  })

  if (offload) return // once is enough: these wait for time-outs, and a checksum that is left to the link tshark takes for wrong

  it('a wrong key, and none, are not heard', async () => {
    const wrong = await run(`exec ${md5} connect ${OURS} 179 ${OURS} 'another' 10`)
    expect(wrong.err).toMatch(/timed out/)
    const none = await run(`exec ${md5} connect ${OURS} 179 ${OURS} - 10`)
    expect(none.err).toMatch(/timed out/)
    expect(Object.keys(lab.troubles()).sort()).toEqual(['tcp.TCPMD5Failure', 'tcp.TCPMD5NotFound'])
  })

  it('a key where we have none is not heard either', async () => {
    const ran = await run(`exec ${md5} connect ${OURS} 7 ${OURS} '${KEY.key}' 10`)
    expect(ran.err).toMatch(/timed out/)
    expect(lab.counter('tcp', 'TCPMD5Unexpected')).toBeGreaterThan(0)
  })

  it('tshark finds nothing wrong', async () => {
    await lab.stack.close()
    expect(await judged(own, 'tcp.port == 1790 && !tcp.options.md5')).toEqual([])
    expect(await judged(own, '_ws.malformed || _ws.expert.severity == error || tcp.checksum.status == "Bad"')).toEqual([])
  })
})
