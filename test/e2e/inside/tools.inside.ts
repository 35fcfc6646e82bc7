/** The host's tools against the stack on a clean link, with offload and without, and tshark as the judge of every frame. */
import { existsSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { capture } from '../../../src/node/capture-file.ts'
import { endTcpdump, judged, Lab, MAC, noise, OURS, pinged, quietKernel, run, type Served, sha256, tcpdump } from './lab.ts'

beforeAll(quietKernel)

describe.each([
  ['with offload', true],
  ['plain', false],
])('a clean link %s', (_, offload) => {
  const wire = join(tmpdir(), `tapstack-${process.pid}-${offload}.pcap`)
  const own = join(tmpdir(), `tapstack-${process.pid}-${offload}.pcapng`)
  let lab: Lab
  let dump: Served
  /** Counters of trouble that the scenarios so far are known to have moved. */
  const known: string[] = []

  beforeAll(async () => {
    lab = await Lab.open({ offload, wrap: (link) => capture(link, own) })
    dump = await tcpdump(wire, offload ? 65_600 : 1600)
  })

  afterAll(async () => {
    await lab.close()
    for (const path of [wire, own]) rmSync(path, { force: true })
  })

  it('has the offloads that were asked for', () => {
    expect(lab.counter('eth0.link', 'vnetHeader')).toBe(offload ? 1 : 0)
    expect(lab.eth0.link.gsoMax).toBe(offload ? 65535 : 0)
  })

  it.each([
    ['plain', '-i 0.01', 5],
    ['-s 65000, in fragments', '-A -s 65000', 3],
    ['-s 65507, the largest', '-A -s 65507', 2],
    ['-s 1472 -M do, a full frame', '-i 0.01 -s 1472 -M do', 3],
    ['-s 0', '-i 0.01 -s 0', 2],
    ['with a pattern', '-i 0.01 -p a5 -s 1001', 2],
    ['with record route', '-R', 1],
    ['with timestamps', '-T tsandaddr', 1],
    ['to every TTL it likes', '-t 1', 1],
  ])('answers ping %s', async (_, options, count) => {
    const { received, said } = await pinged(count, options)
    expect(received, said).toBeGreaterThanOrEqual(count)
    expect(said).not.toMatch(/wrong data|DUP|BAD CHECKSUM/)
    expect(lab.counter('icmp', 'icmpOutEchoReps')).toBe(lab.counter('icmp', 'icmpInEchos'))
    expect(lab.troubles(...known)).toEqual({})
  })

  it('answers 10,000 pings of a flood, each once', async () => {
    const before = lab.counter('icmp', 'icmpInEchos')
    const { received, said } = await pinged(10_000, '-q -f')
    expect(received, said).toBeGreaterThanOrEqual(10_000)
    expect(said).not.toContain('duplicates')
    expect(lab.counter('icmp', 'icmpInEchos') - before).toBeGreaterThanOrEqual(10_000)
    expect(lab.counter('icmp', 'icmpOutEchoReps')).toBe(lab.counter('icmp', 'icmpInEchos'))
    expect(lab.troubles(...known)).toEqual({})
  })

  it('answers arping by address, and duplicate detection finds the address in use', async () => {
    const ran = await run(`exec arping -i tap0 -c 3 -W 0.01 -w 5 ${OURS}`)
    expect(ran.out, ran.err).toContain('3 packets transmitted, 3 packets received,   0% unanswered (0 extra)')
    expect(ran.out).toContain(MAC)
    const taken = await run(`exec arping -i tap0 -0 -c 1 -w 5 ${OURS}`)
    expect(taken.out, taken.err).toContain('1 packets received')
    expect(lab.troubles(...known)).toEqual({})
  })

  it('answers arping by MAC', async () => {
    const ran = await run(`exec arping -i tap0 -c 3 -W 0.01 -w 5 -T 255.255.255.255 ${MAC}`)
    expect(ran.out, ran.err).toContain('3 packets transmitted, 3 packets received,   0% unanswered (0 extra)')
    expect(ran.out).toContain(`from ${OURS}`)
    expect(lab.troubles(...known)).toEqual({})
  })

  it('leaves arping on a VLAN unanswered, and counts it', async () => {
    known.push('eth0.ethernet.dropUnknownVlan')
    const ran = await run(`exec arping -i tap0 -V 7 -c 2 -W 0.01 -w 1 ${OURS}`)
    expect(ran.out, ran.err).toContain('2 packets transmitted, 0 packets received')
    expect(lab.counter('eth0.ethernet', 'dropUnknownVlan')).toBe(2)
    expect(lab.troubles(...known)).toEqual({})
  })

  it('does not answer arping for others', async () => {
    known.push('eth0.arp.dropNotForUs')
    const ran = await run('exec arping -i tap0 -c 1 -w 1 10.0.0.77')
    expect(ran.out, ran.err).toContain('0 packets received')
    expect(lab.counter('eth0.arp', 'dropNotForUs')).toBe(1)
    expect(lab.troubles(...known)).toEqual({})
  })

  it('echoes 10 MB to nc, both ways at once, byte for byte', async () => {
    const bytes = noise(10_000_000, 7)
    const ran = await run(`exec nc -N ${OURS} 7`, { input: bytes })
    expect(ran.code, ran.err).toBe(0)
    expect(ran.bytes.length).toBe(bytes.length)
    expect(sha256(ran.bytes)).toBe(sha256(bytes))
    expect(lab.troubles(...known)).toEqual({})
  })

  it('half-closes: what nc -N sends is heard to its end and answered after it', async () => {
    const server = lab.stack.net.createServer({ allowHalfOpen: true }, (socket) => {
      const heard: Buffer[] = []
      socket.on('data', (data: Buffer) => heard.push(data))
      socket.on('end', () => socket.end(`heard ${sha256(Buffer.concat(heard))}`))
    })
    await new Promise<void>((resolve) => server.listen(6001, resolve))
    const bytes = noise(300_000, 3)
    const ran = await run(`exec nc -N ${OURS} 6001`, { input: bytes })
    server.close()
    expect(ran.out, ran.err).toBe(`heard ${sha256(bytes)}`)
    expect(ran.code).toBe(0)
    expect(lab.troubles(...known)).toEqual({})
  })

  it('says what day it is, to nc and over UDP', async () => {
    expect((await run(`exec nc -d ${OURS} 13`)).out).toMatch(/\d\d:\d\d:\d\d/)
    const udp = await run(`exec socat -t 0.2 - UDP:${OURS}:13,shut-none`, { input: Buffer.from('x') })
    expect(udp.out, udp.err).toMatch(/\d\d:\d\d:\d\d/)
    expect(lab.troubles(...known)).toEqual({})
  })

  it('serves 50 MB to curl by node:http', async () => {
    const body = noise(50_000_000, 11)
    const server = lab.stack.http.createServer((request, response) => {
      response.setHeader('x-path', request.url ?? '')
      response.end(body)
    })
    await new Promise<void>((resolve) => server.listen(80, () => resolve()))
    try {
      const path = lab.file('body')
      const ran = await run(`exec curl -sS -m 15 -o ${path} -w '%{http_code} %{size_download}' http://${OURS}/some/path`)
      expect(ran.out, ran.err).toBe(`200 ${body.length}`)
      expect((await run(`exec sha256sum < ${path}`)).out.slice(0, 64)).toBe(sha256(body))
    } finally {
      await new Promise((resolve) => server.close(resolve))
    }
    expect(lab.troubles(...known)).toEqual({})
  })

  it('takes 20 MB of a PUT by curl, and keeps the connection for the next', async () => {
    const body = noise(20_000_000, 13)
    const path = lab.file('put', body)
    const ports = new Set<number | undefined>()
    const server = lab.stack.http.createServer((request, response) => {
      const heard: Buffer[] = []
      ports.add(request.socket.remotePort)
      request.on('data', (data: Buffer) => heard.push(data))
      request.on('end', () => response.end(sha256(Buffer.concat(heard))))
    })
    await new Promise<void>((resolve) => server.listen(80, () => resolve()))
    try {
      const url = `http://${OURS}/`
      const ran = await run(`exec curl -sS -m 15 -H Expect: -T ${path} ${url} --next -sS -m 15 -H Expect: -T ${path} ${url}`)
      expect(ran.out, ran.err).toBe(sha256(body).repeat(2))
      expect(ports.size).toBe(1)
    } finally {
      await new Promise((resolve) => server.close(resolve))
    }
    expect(lab.troubles(...known)).toEqual({})
  })

  it('refuses a closed port at once', async () => {
    known.push('tcp.dropNoSocket', 'tcp.tcpOutRsts')
    const ran = await run(`exec nc -v ${OURS} 4`)
    expect(ran.err).toContain('Connection refused')
    expect(ran.code).toBe(1)
    expect(lab.counter('tcp', 'tcpOutRsts')).toBe(1)
    expect(lab.troubles(...known)).toEqual({})
  })

  it.each([0, 1, 1472, 1473, 9000, 65507])('echoes a datagram of %i bytes', async (length) => {
    const bytes = noise(length, length + 1)
    const before = lab.counter('udp', 'udpInDatagrams')
    // An empty datagram is the end of input to socat: ask for its answer by the counters.
    const ran = await run(
      `exec socat -b 65536 -t ${length === 0 ? 0.1 : 5} - UDP:${OURS}:7${length === 0 ? ',shut-null' : `,readbytes=${length}`}`,
      {
        input: bytes,
      },
    )
    expect(sha256(ran.bytes), ran.err).toBe(sha256(bytes))
    expect(lab.counter('udp', 'udpInDatagrams') - before).toBe(1)
    expect(lab.troubles(...known)).toEqual({})
  })

  it('echoes to nc -u', async () => {
    const ran = await run(`exec nc -u -W 1 ${OURS} 7`, { input: Buffer.from('hello, datagram') })
    expect(ran.out, ran.err).toBe('hello, datagram')
    expect(lab.troubles(...known)).toEqual({})
  })

  it('tells a UDP sender that nobody is there', async () => {
    known.push('udp.udpNoPorts', 'icmp.icmpOutDestUnreachs')
    const ran = await run(`exec socat -T 3 - UDP:${OURS}:4`, { input: Buffer.from('anybody?') })
    expect(ran.err).toContain('Connection refused')
    expect(lab.counter('icmp', 'icmpOutDestUnreachs')).toBe(1)
    expect(lab.troubles(...known)).toEqual({})
  })

  it('has no connections left but those in TIME-WAIT', () => {
    expect(lab.stack.tcp.openConnections).toBe(0)
  })

  describe('and every frame of all that', () => {
    beforeAll(async () => {
      expect(await endTcpdump(dump)).toBe(0)
      await lab.close()
    })

    const ours = `eth.src == ${MAC}`

    // What is given to a link with offload is unfinished: there, of TCP and UDP the kernel was the judge.
    const layers = offload ? ['ip', 'icmp'] : ['ip', 'icmp', 'tcp', 'udp']
    const badChecksum = layers.map((l) => `${l}.checksum.status == "Bad"`).join(' || ')

    it('is well formed', async () => {
      expect(existsSync(wire)).toBe(true)
      // An error of tshark's own making: a TCP checksum that only the kernel completes.
      const error = '_ws.expert.severity == error && !(tcp.checksum.status == "Bad") && !(udp.checksum.status == "Bad")'
      expect(await judged(wire, `(${ours}) && (_ws.malformed || _ws.short || (${error}))`)).toEqual([])
    }, 60_000)

    it('has good checksums', async () => {
      expect(await judged(wire, `(${ours}) && (${badChecksum})`)).toEqual([])
      // The judge does judge.
      expect((await judged(wire, `(${ours}) && ${offload ? 'icmp' : 'tcp'}.checksum.status == "Good"`)).length).toBeGreaterThan(0)
    }, 60_000)

    it('comes once and in order', async () => {
      const troubles = ['retransmission', 'out_of_order', 'lost_segment', 'ack_lost_segment', 'duplicate_ack']
      expect(await judged(wire, troubles.map((t) => `tcp.analysis.${t}`).join(' || '))).toEqual([])
    }, 60_000)

    it('is in our own capture, which tshark reads without a complaint', async () => {
      expect(await judged(own, `(${ours}) && (_ws.malformed || _ws.short || ${badChecksum})`)).toEqual([])
      const count = async (path: string): Promise<number> =>
        Number((await run(`exec capinfos -T -r -c ${path}`)).out.trim().split(/\s+/).at(-1))
      const [seen, theirs] = [await count(own), await count(wire)]
      expect(theirs).toBeGreaterThan(20_000)
      // tcpdump may be stopped before the last few frames.
      expect(Math.abs(seen - theirs)).toBeLessThan(20)
    }, 60_000)
  })
})
