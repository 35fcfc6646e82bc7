import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { openLink } from '../../src/backend/open-link.ts'
import { openStdio } from '../../src/backend/stdio.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { plainFrame } from '../support/frames.ts'
import { netifConformance } from '../support/netif-conformance.ts'
import { RecordingSink } from '../support/recording-sink.ts'
import { turns } from '../support/stream-pair.ts'

/** The three streams of a process. */
const process3 = (stdin = new PassThrough(), stdout = new PassThrough()) => ({ stdin, stdout, stderr: new PassThrough() })

netifConformance('standard input and output', async () => {
  const [there, back] = [new PassThrough(), new PassThrough()]
  const a = await openStdio({ name: 'a' }, process3(back, there))
  const b = await openStdio({ name: 'b' }, process3(there, back))
  return { a, b, host: new VirtualHost(), settle: () => turns(10) }
})

describe('standard input and output as a link', () => {
  it('carry frames behind two bytes of length, and no word of anybody', async () => {
    const system = process3()
    const link = await openStdio({}, system)
    link.attach(new RecordingSink(new VirtualHost()))
    const frame = plainFrame('ethernet', 300, 1)
    const buf = new Uint8Array(364)
    buf.set(frame, 64)
    system.stdout.write('a log line\n')
    expect(link.send(buf, 64, 364, 0)).toBe(true)
    link.flush()
    await turns(10)
    expect(system.stdout.read()).toEqual(Buffer.concat([Buffer.of(1, 44), frame]))
    expect(String(system.stderr.read())).toBe('a log line\n')
    await link.close()
    system.stdout.write('afterwards\n')
    expect(String(system.stderr.read())).toBe('afterwards\n') // the reader of frames is still there
    expect(system.stdout.read()).toBeNull()
  })

  it('end with their reader, and with their writer', async () => {
    for (const half of ['stdin', 'stdout'] as const) {
      const system = process3()
      const link = await openStdio({}, system)
      const sink = new RecordingSink(new VirtualHost())
      link.attach(sink)
      if (half === 'stdin') system.stdin.end()
      else system.stdout.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))
      await turns(10)
      expect([half, sink.closes]).toEqual([half, 1])
    }
  })

  it('are there once, and not on a terminal', async () => {
    const system = process3()
    const link = await openStdio({}, system)
    await expect(openStdio({}, system)).rejects.toMatchObject({ code: 'EBUSY' })
    await link.close()
    await expect(openStdio({}, system)).rejects.toMatchObject({ code: 'EBUSY' })
    const terminal = Object.assign(new PassThrough(), { isTTY: true })
    await expect(openStdio({}, process3(terminal))).rejects.toMatchObject({
      code: 'ENOTSUP',
      message: expect.stringMatching(/vde_plug/),
    })
    await expect(openStdio({ mtu: 20 }, process3())).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
    for (const url of ['stdio:x', 'stdio:?host=1', 'stdio:?mtu=large'])
      await expect(openLink(url)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
  })
})
