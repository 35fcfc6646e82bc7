import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createPipe } from '../../src/link/pipe.ts'
import { capture, openCapture } from '../../src/node/capture-file.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { noise, tcpFrame, udpFrame } from '../support/frames.ts'
import { readPcapng } from '../support/pcapng-reader.ts'
import { RecordingSink } from '../support/recording-sink.ts'
import { scratchFolder } from '../support/scratch.ts'

const folder = scratchFolder('capture')

const hasTshark = spawnSync('tshark', ['--version']).status === 0

async function record(path: string): Promise<void> {
  const host = new VirtualHost()
  const writer = openCapture(path)
  const [a, b] = createPipe({ names: ['client', 'server'] })
  const [c, d] = createPipe({ names: ['tun-client', 'tun-server'], medium: 'ip' })
  const links = [a, b, c, d].map((link) => capture(link, writer))
  for (const link of links) link.attach(new RecordingSink(host))
  const send = (link: (typeof links)[0], { bytes, meta }: ReturnType<typeof tcpFrame>): void => {
    link.send(bytes, 0, bytes.length, meta)
    host.advance(0.001)
    for (const l of links) l.receive(64)
  }
  send(links[0], tcpFrame({ payload: noise(100, 1) }))
  send(links[0], tcpFrame({ payload: noise(30_000, 1), gso: 1460, seq: 101 }))
  send(links[1], udpFrame({ payload: noise(100, 1), partial: true, dport: 9, from: 2, to: 1 }))
  send(links[2], tcpFrame({ payload: noise(100, 1), medium: 'ip' }))
  send(links[3], udpFrame({ payload: noise(100, 1), medium: 'ip', family: 6, dport: 9 }))
  for (const link of links) await link.close()
  writer.end()
}

describe('capture to a file', () => {
  it('writes one file for one link and closes it with the link', async () => {
    const path = join(folder, 'one.pcapng')
    const [a, b] = createPipe()
    const link = capture(a, path, { name: 'eth0' })
    link.attach(new RecordingSink(new VirtualHost()))
    b.attach(new RecordingSink(new VirtualHost()))
    const { bytes } = tcpFrame({ payload: noise(10, 1) })
    link.send(bytes, 0, bytes.length, 0)
    const exits = process.listenerCount('exit')
    await link.close()
    expect(process.listenerCount('exit')).toBe(exits - 1)
    const read = readPcapng(readFileSync(path))
    expect(read.interfaces[0].name).toBe('eth0')
    expect(read.packets.length).toBe(1)
  })

  it('says why a file cannot be written', () => {
    expect(() => openCapture(join(folder, 'no', 'such', 'folder'))).toThrow(/cannot write the capture .*ENOENT/)
  })

  it('takes an object with write as well', async () => {
    const chunks: Uint8Array[] = []
    const link = capture(createPipe()[0], { write: (bytes) => void chunks.push(bytes) })
    link.attach(new RecordingSink(new VirtualHost()))
    await link.close()
    expect(readPcapng(Uint8Array.from(chunks.flatMap((c) => [...c]))).interfaces.length).toBe(1)
  })

  it.runIf(hasTshark)('is read by tshark and capinfos without a complaint', async () => {
    const path = join(folder, 'shared.pcapng')
    await record(path)
    const check = ['-o', 'tcp.check_checksum:TRUE', '-o', 'udp.check_checksum:TRUE', '-o', 'ip.check_checksum:TRUE']
    const fields = ['frame.interface_name', 'frame.packet_flags_direction', 'frame.time_epoch', '_ws.col.Protocol', 'frame.len']
    const run = spawnSync('tshark', ['-r', path, ...check, '-T', 'fields', ...fields.flatMap((f) => ['-e', f])], {
      encoding: 'utf8',
    })
    const complaints = run.stderr.split('\n').filter((line) => line !== '' && !line.startsWith('Running as user'))
    expect([run.status, complaints]).toEqual([0, []])
    const rows = run.stdout
      .trim()
      .split('\n')
      .map((line) => line.split('\t'))
    expect(rows.map((r) => `${r[0]} ${Number(r[1])} ${r[4]}`)).toEqual([
      'client 2 154',
      'server 1 154',
      'client 2 30054',
      'server 1 30054',
      'server 2 142',
      'client 1 142',
      'tun-client 2 140',
      'tun-server 1 140',
      'tun-server 2 148',
      'tun-client 1 148',
    ])
    expect(rows[9][2]).toBe('1704067200.000005000')
    // Both ends of a pipe are in one file, so every segment is there twice; and a partial checksum is none to be verified.
    const wrong = '(_ws.malformed || _ws.expert.severity >= 0x600000) && !(frame.packet_flags & 0x200)'
    const order = ['-o', 'tcp.analyze_sequence_numbers:FALSE']
    const bad = spawnSync('tshark', ['-r', path, ...check, ...order, '-Y', wrong], { encoding: 'utf8' })
    expect([bad.status, bad.stdout]).toEqual([0, ''])
    const info = execFileSync('capinfos', ['-M', path], { encoding: 'utf8' })
    expect(info).toContain('Number of packets:   10')
    expect(info).toContain('Number of interfaces in file: 4')
  })
})
