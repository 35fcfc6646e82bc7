import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { clockText, hexLines } from '../../src/cli/dump.ts'
import { CaptureReader } from '../../src/trace/capture-reader.ts'
import { CommandLab } from '../support/command-lab.ts'
import { withCommand } from '../support/node-command.ts'
import { readPcapng } from '../support/pcapng-reader.ts'
import { scratchFolder } from '../support/scratch.ts'

const dir = scratchFolder('dump')

/** The command while the peer asks for 10.0.0.2 by ping, until it has said so many lines. */
async function dumped(line: string, lines: number) {
  const lab = new CommandLab()
  const done = lab.start(line)
  // The link is heard from a few promises later on.
  for (let i = 0; i < 50; i++) await undefined
  const pings = (async () => {
    for await (const _ of lab.peer.ping('10.0.0.2', { count: 3, intervalMs: 100, timeoutMs: 100 })) void _
  })()
  pings.catch(() => undefined)
  lab.onLine = () => {
    if (lab.out.length >= lines) lab.stop.abort()
  }
  lab.world.host.after(2000, { run: () => lab.stop.abort() })
  const code = await lab.world.settle(done)
  await lab.world.settle(pings)
  expect(lab.world.host.holds).toBe(0)
  return { code, out: lab.out, err: lab.err }
}

const TIME = /^\d\d:\d\d:\d\d\.\d{6} /

describe('tapstack dump', () => {
  it('listens to a link without being a host there', async () => {
    const { code, out, err } = await dumped('dump -c 2 dst host 10.0.0.2', 9)
    expect(out.map((l) => l.replace(TIME, ''))).toEqual(Array(2).fill('< ARP who-has 10.0.0.2 tell 10.0.0.1'))
    expect(out[0]).toMatch(TIME)
    expect([code, err]).toEqual([0, ['listening on tap0', '2 packets captured', '3 packets seen']])
  })

  it('is a host with an address, and shows both directions of what the filter takes', async () => {
    const { out, err } = await dumped('dump -t -a 10.0.0.2/24 icmp', 4)
    expect(out.slice(0, 2)).toEqual([
      expect.stringMatching(/^< IP 10\.0\.0\.1 > 10\.0\.0\.2: ICMP echo request/),
      expect.stringMatching(/^> IP 10\.0\.0\.2 > 10\.0\.0\.1: ICMP echo reply/),
    ])
    expect(err[0]).toBe('listening on tap0 as 10.0.0.2')
  })

  it('-e, -x: the header of Ethernet, and all bytes', async () => {
    const { out } = await dumped('dump -t -e -x -c 1 arp', 9)
    expect(out[0]).toBe('< 02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff, 0x0806, length 60: ARP who-has 10.0.0.2 tell 10.0.0.1')
    expect(out[1]).toBe('\t0x0000:  ffff ffff ffff 0200 0000 0001 0806 0001  ................')
    expect(out.length).toBe(5)
  })

  it('-w writes what it sees, -r reads it again, through another filter', async () => {
    const file = join(dir, 'a.pcapng')
    const written = await dumped(`dump -a 10.0.0.2/24 -w ${file} icmp or arp`, 99)
    expect(written).toMatchObject({ code: 0, out: [] })
    const { packets, interfaces } = readPcapng(readFileSync(file))
    expect(interfaces).toMatchObject([{ name: 'tap0', linkType: 1 }])
    expect(packets.length).toBeGreaterThan(5)
    const read = new CommandLab()
    expect(await read.start(`dump -t -r ${file} icmp and src 10.0.0.2`)).toBe(0)
    expect(read.out.length).toBe(3)
    expect(read.out[0]).toMatch(/^> IP 10\.0\.0\.2 > 10\.0\.0\.1: ICMP echo reply/)
    expect(read.err).toEqual(['3 packets captured', `${packets.length} packets seen`])
  })

  it('-w -: the capture is all that is on standard output, frame by frame', () =>
    withCommand(async (peer, begin) => {
      const dump = begin('dump -v -a 10.0.0.2/24 -w - icmp')
      await dump.until(/^listening/)
      for await (const reply of peer.ping('10.0.0.2', { count: 2, intervalMs: 1 })) expect(reply.error).toBeUndefined()
      let frames = 0
      new CaptureReader(() => void frames++).push(dump.bytes())
      expect(frames).toBe(4)
      expect(await dump.stop()).toBe(0)
      expect(readPcapng(dump.bytes()).packets.length).toBe(4)
      expect(dump.errors).toContain('4 packets captured')
    }))

  it.each([
    ['dump -r /nowhere', '/nowhere: there is no such file'],
    [`dump -r ${join(dir, 'junk')}`, 'this is no capture'],
    [`dump -r ${join(dir, 'empty')}`, 'it is empty'],
    ['dump tcp and', 'something is missing at its end'],
    ['dump host nowhere', 'nowhere is no address'],
    ['dump -q -v', '--quiet and --verbose'],
    ['dump -r x -w x', '--read and --write'],
    ['dump -w /nowhere/x', 'cannot write the capture /nowhere/x'],
  ])('%s: exit code 1', async (line, words) => {
    writeFileSync(join(dir, 'junk'), 'this is not a capture of anything at all')
    writeFileSync(join(dir, 'empty'), '')
    const lab = new CommandLab()
    const code = await lab.start(line)
    expect([code, lab.out]).toEqual([1, []])
    expect(lab.err.join()).toContain(words)
  })
})

describe('what a line is made of', () => {
  it('time and bytes', () => {
    const noon = new Date(2026, 0, 2, 12, 3, 4).getTime()
    expect(clockText(BigInt(noon) * 1_000_000n + 56_789_999n)).toBe('12:03:04.056789')
    expect(hexLines(Uint8Array.from({ length: 19 }, (_, i) => 48 + i))).toEqual([
      '\t0x0000:  3031 3233 3435 3637 3839 3a3b 3c3d 3e3f  0123456789:;<=>?',
      `\t0x0010:  4041 42${' '.repeat(32)}  @AB`,
    ])
  })
})
