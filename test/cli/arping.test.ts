import { describe, expect, it } from 'vitest'
import { hex } from '../../src/base/bytes.ts'
import { arpFrame, echoFrame, heardArp, heardEcho } from '../../src/cli/arping-wire.ts'
import { HEADROOM } from '../../src/netif/netif.ts'
import { dissect } from '../../src/trace/dissect.ts'
import { CommandLab } from '../support/command-lab.ts'

const PEER = '02:00:00:00:00:01'
const us = Uint8Array.of(2, 0, 0, 0, 0, 2)
const them = Uint8Array.of(2, 0, 0, 0, 0, 1)

describe('tapstack arping', () => {
  it("looks as Habets's arping does", async () => {
    const { code, out, err } = await new CommandLab().exec('arping -c 2 10.0.0.1')
    expect(out).toEqual([
      'ARPING 10.0.0.1',
      `42 bytes from ${PEER} (10.0.0.1): index=0 time=0.000 usec`,
      `42 bytes from ${PEER} (10.0.0.1): index=1 time=0.000 usec`,
      '',
      '--- 10.0.0.1 statistics ---',
      '2 packets transmitted, 2 packets received,   0% unanswered (0 extra)',
      'rtt min/avg/max/std-dev = 0.000/0.000/0.000/0.000 ms',
    ])
    expect([code, err]).toEqual([0, []])
  })

  it('waits the interval for an answer, and ends with 1 without one', async () => {
    const lab = new CommandLab()
    const { code, out } = await lab.exec('arping -c 2 -W 0.5 10.0.0.9')
    expect(out).toEqual([
      'ARPING 10.0.0.9',
      'Timeout',
      'Timeout',
      '',
      '--- 10.0.0.9 statistics ---',
      '2 packets transmitted, 0 packets received, 100% unanswered (0 extra)',
    ])
    expect([code, lab.world.elapsedMs]).toEqual([1, 1000])
  })

  it('ends at its deadline, with the first answer, or when it is stopped', async () => {
    const late = new CommandLab()
    expect((await late.exec('arping -q -w 2.5 10.0.0.1')).code).toBe(0)
    expect([late.world.elapsedMs, late.out]).toEqual([2500, []])
    const first = new CommandLab()
    expect((await first.exec('arping -f 10.0.0.1')).code).toBe(0)
    expect(first.world.elapsedMs).toBe(0)
    const stopped = new CommandLab()
    stopped.onLine = (line) => {
      if (line.includes('index=2')) stopped.stop.abort()
    }
    const { code, out } = await stopped.exec('arping 10.0.0.1')
    expect([code, out.at(-2)]).toEqual([0, '3 packets transmitted, 3 packets received,   0% unanswered (0 extra)'])
  })

  it('pings a MAC address, whatever the address behind it', async () => {
    const lab = new CommandLab(['192.168.7.7/24'])
    const { code, out } = await lab.exec(`arping -c 1 ${PEER}`)
    expect(out.slice(0, 2)).toEqual([`ARPING ${PEER}`, `62 bytes from ${PEER} (192.168.7.7): icmp_seq=0 time=0.000 usec`])
    expect(code).toBe(0)
    const raw = await new CommandLab().exec(`arping -r -0 -T 10.0.0.1 -c 1 ${PEER}`)
    expect(raw).toMatchObject({ code: 1, out: [] }) // nobody can answer 0.0.0.0
    const nobody = await new CommandLab().exec('arping -c 1 02:00:00:00:00:77')
    expect(nobody.code).toBe(1)
  })

  it('-D: whether an address is free, without one of our own', async () => {
    const taken = new CommandLab()
    const { code, out } = await taken.exec('arping -D 10.0.0.1')
    expect(out).toEqual([
      'ARPING 10.0.0.1 from 0.0.0.0 eth0',
      `Unicast reply from 10.0.0.1 [${PEER.toUpperCase()}]  0.000ms`,
      'Sent 1 probes (1 broadcast(s))',
      'Received 1 response(s)',
    ])
    expect(code).toBe(1)
    const free = await new CommandLab().exec('arping -D 10.0.0.2')
    expect(free).toMatchObject({
      code: 0,
      out: ['ARPING 10.0.0.2 from 0.0.0.0 eth0', 'Sent 3 probes (3 broadcast(s))', 'Received 0 response(s)'],
    })
  })

  it.each(['-U', '-A'])('%s tells the neighbours where our address is', async (option) => {
    const lab = new CommandLab()
    lab.peer.ip('neigh add 10.0.0.2 lladdr 02:00:00:00:00:99 dev eth0 nud stale')
    const { code, out } = await lab.exec(`arping ${option} -c 2 --mac 02:00:00:00:00:55 10.0.0.2`)
    expect(out).toEqual(['ARPING 10.0.0.2 from 10.0.0.2 eth0', 'Sent 2 probes (2 broadcast(s))', 'Received 0 response(s)'])
    expect(code).toBe(0)
    expect(lab.peer.neighbors).toMatchObject([{ address: '10.0.0.2', mac: '02:00:00:00:00:55' }])
  })

  it('-d: exit code 1 when two MAC addresses answer', async () => {
    const lab = new CommandLab()
    const other = arpFrame({
      mac: Uint8Array.of(2, 0, 0, 0, 0, 9),
      sender: 0x0a000001,
      target: 0x0a000002,
      to: us,
      isReply: true,
    })
    lab.onLine = (line) => {
      if (line.includes('index=0')) lab.far.send(other, HEADROOM, other.length, 0)
    }
    const { code, out } = await lab.exec('arping -d -c 1 10.0.0.1')
    expect(out[2]).toBe('42 bytes from 02:00:00:00:00:09 (10.0.0.1): index=1 time=0.000 usec')
    expect(out[5]).toBe('1 packets transmitted, 2 packets received,   0% unanswered (1 extra)')
    expect(code).toBe(1)
  })

  it.each([
    ['arping', 'a host is missing'],
    ['arping fd00::1', 'IPv6 has no ARP'],
    ['arping -D -U 10.0.0.1', '-D, -U and -A: one of them'],
    ['arping -D 02:00:00:00:00:01', '-D, -U and -A are for IP addresses'],
    ['arping -U 10.0.0.7', '10.0.0.7 is no address of this stack'],
    ['arping -T 10.0.0.1 10.0.0.1', '--target is for a MAC address'],
    ['arping -s fd00::1 10.0.0.1', '--source fd00::1: an IPv4 address'],
    ['arping -0 -s 10.0.0.3 10.0.0.1', '-0 and --source'],
    ['arping -c 0 10.0.0.1', '--count 0'],
  ])('%s: exit code 2', async (line, words) => {
    const { code, out, err } = await new CommandLab().exec(line)
    expect([code, out]).toEqual([2, []])
    expect(err[0]).toContain(words)
  })
})

describe('frames of arping', () => {
  const echo = { mac: us, to: them, source: 0x0a000002, destination: -1, id: 0x1234, seq: 3, mark: 0x01020304 }

  it('are those of arping 2.23', () => {
    const request = arpFrame({ mac: us, sender: 0x0a000002, target: 0x0a000001, to: them, isReply: false })
    expect(hex(request, HEADROOM)).toBe('020000000001020000000002080600010800060400010200000000020a0000020000000000000a000001')
    const ping = echoFrame(echo)
    expect(ping.length - HEADROOM).toBe(62)
    expect(hex(ping, HEADROOM + 14, 10)).toBe('45000030123400004001')
    expect(dissect(ping, HEADROOM, ping.length, 'ethernet')).toBe(
      'IP 10.0.0.2 > 255.255.255.255: ICMP echo request, id 4660, seq 3, length 28',
    )
  })

  it('are no answers when they are cut short, of others, or of something else', () => {
    const answer = echoFrame({ ...echo, mac: them, to: us })
    answer[HEADROOM + 34] = 0
    const heard = (change: (b: Uint8Array) => void, cut = 0): unknown => {
      const copy = answer.slice()
      change(copy)
      return heardEcho(copy, HEADROOM, copy.length - cut, echo)
    }
    expect(heard(() => undefined)).toMatchObject({ seq: 3, from: 0x0a000002 })
    for (const at of [0, 6, 12, 14, 23, 34, 35, 61]) expect(heard((b) => b[HEADROOM + at]++)).toBeNull()
    for (let cut = 1; cut <= 62; cut++) expect(heard(() => undefined, cut)).toBeNull()
    const arp = arpFrame({ mac: us, sender: 1, target: 2, to: them, isReply: true })
    for (let cut = 1; cut <= 42; cut++) expect(heardArp(arp, HEADROOM, arp.length - cut)).toBeNull()
    expect(heardArp(arp, HEADROOM, arp.length)).toMatchObject({ isReply: true, sender: 1, target: 2, isUnicast: true })
  })
})
