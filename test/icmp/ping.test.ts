import { describe, expect, test } from 'vitest'
import { address } from '../../src/base/address.ts'
import type { NetError } from '../../src/base/errors.ts'
import { Ping, type PingDependencies, type PingSettings } from '../../src/icmp/ping.ts'
import { type PingOptions, type PingResult, ping } from '../../src/icmp/ping-iterator.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { icmpOf, naiveChecksum, packetOf, readIp, World } from '../support/ip-world.ts'

const PEER = address('10.0.0.1')

class PingWorld extends World {
  readonly host = new VirtualHost({ startMs: 1000 })
  readonly events: string[] = []

  get deps(): PingDependencies {
    return { icmp: this.icmp, host: this.host, random: this.random, tells: this.tells, wake: () => void this.wakes++ }
  }

  open(settings: PingSettings = {}, to = PEER): Ping {
    return new Ping(
      this.deps,
      to,
      {
        onReply: (seq, rtt, ttl, bytes, from, duplicate) =>
          void this.events.push(`reply ${seq} ${rtt}us ttl ${ttl} ${bytes} bytes from ${from}${duplicate ? ' DUP' : ''}`),
        onError: (seq, code, from, kind) => void this.events.push(`error ${seq} ${code} kind ${kind} from ${from}`),
      },
      settings,
    )
  }

  /** Answers the requests sent so far, as a peer would. */
  answer(from = '10.0.0.1'): void {
    for (const { bytes } of this.link.take()) this.arrive(replyTo(bytes, from))
  }
}

function replyTo(request: Buffer, from: string): Buffer {
  const { payload } = readIp(request)
  return packetOf({ source: from, destination: '10.0.0.2', protocol: 1, ttl: 61 }, icmpOf(0, 0, payload.subarray(4)))
}

function sendsOf(world: PingWorld): Buffer[] {
  return world.link.take().map((s) => s.bytes)
}

describe('Ping', () => {
  test('sends a request and tells its reply', () => {
    const w = new PingWorld()
    const p = w.open({ size: 16, ttl: 9, tos: 8 })
    expect(p.send(1)).toBe(true)
    const [bytes] = sendsOf(w)
    const ip = readIp(bytes)
    expect(ip).toMatchObject({ from: '10.0.0.2', to: '10.0.0.1', protocol: 1, ttl: 9, tos: 8, total: 44 })
    expect(naiveChecksum(ip.payload)).toBe(0)
    expect([...ip.payload.subarray(0, 2)]).toEqual([8, 0])
    expect(ip.payload.readUInt16BE(4)).toBe(p.id)
    w.host.advance(3)
    w.arrive(replyTo(bytes, '10.0.0.1'))
    expect(w.events).toEqual([])
    w.tell()
    w.arrive(replyTo(bytes, '10.0.0.1'))
    w.tell()
    expect(w.events).toEqual(['reply 1 3000us ttl 61 16 bytes from 10.0.0.1', 'reply 1 3000us ttl 61 16 bytes from 10.0.0.1 DUP'])
    expect(w.wakes).toBe(1)
  })

  test('recognises only what answers a request of its own', () => {
    const w = new PingWorld()
    const p = w.open()
    p.send(5)
    const [bytes] = sendsOf(w)
    const change = (at: number): void => {
      const reply = replyTo(bytes, '10.0.0.1')
      reply[at] ^= 1
      reply.writeUInt16BE(0, 22)
      reply.writeUInt16BE(naiveChecksum(reply.subarray(20)), 22)
      w.arrive(reply)
    }
    for (const at of [24, 26, 27, 28, 83]) change(at) // identifier, sequence, payload
    w.arrive(replyTo(bytes, '10.0.0.9'))
    w.arrive(replyTo(bytes.subarray(0, 84), '10.0.0.1').subarray(0, 83)) // truncated
    w.tell()
    expect(w.events).toEqual([])
    expect(w.counters()).toMatchObject({ icmpDropNoPing: 6, ipInTruncatedPkts: 1 })
    p.close()
    w.arrive(replyTo(bytes, '10.0.0.1'))
    w.tell()
    expect(w.events).toEqual([])
  })

  test('a broadcast is answered by several', () => {
    const w = new PingWorld()
    const p = w.open({}, address('10.0.0.255'))
    p.send(1)
    const [bytes] = sendsOf(w)
    w.arrive(replyTo(bytes, '10.0.0.7'))
    w.arrive(replyTo(bytes, '10.0.0.8'))
    w.tell()
    expect(w.events.map((e) => e.split('from ')[1])).toEqual(['10.0.0.7', '10.0.0.8 DUP'])
  })

  test('errors find the request that they are about', () => {
    const w = new PingWorld()
    const p = w.open()
    p.send(1)
    p.send(70000)
    const requests = sendsOf(w)
    const error = (type: number, code: number, quoted: Buffer): void =>
      w.arrive(
        packetOf(
          { source: '10.0.0.254', destination: '10.0.0.2', protocol: 1 },
          icmpOf(type, code, [0, 0, 0, 0, ...quoted.subarray(0, 28)]),
        ),
      )
    error(11, 0, requests[0])
    error(3, 1, requests[1])
    const elsewhere = Buffer.from(requests[0])
    elsewhere[19] = 77
    error(3, 1, elsewhere)
    w.tell()
    expect(w.events).toEqual(['error 1 EHOSTUNREACH kind 7 from 10.0.0.254', 'error 70000 EHOSTUNREACH kind 1 from 10.0.0.254'])
  })

  test('fragmentation needed about a request of ours lowers the path MTU', () => {
    const w = new PingWorld()
    w.open({ size: 1472, dontFragment: true }).send(1)
    const [bytes] = sendsOf(w)
    w.arrive(
      packetOf(
        { source: '10.0.0.254', destination: '10.0.0.2', protocol: 1 },
        icmpOf(3, 4, [0, 0, 5, 0, ...bytes.subarray(0, 28)]),
      ),
    )
    expect(w.ipv4.pathMtu.get(PEER)).toBe(0x500)
  })

  test('sizes, identifiers and the ways to fail', () => {
    const w = new PingWorld()
    const code = (run: () => unknown): string => {
      try {
        run()
      } catch (error) {
        return (error as NetError).code
      }
      return ''
    }
    expect(code(() => w.open({ size: 65508 }))).toBe('EMSGSIZE')
    expect(code(() => w.open({}, address('192.0.2.1')).send(1))).toBe('ENETUNREACH')
    expect(code(() => w.open({ size: 1473, dontFragment: true }).send(1))).toBe('EMSGSIZE')
    w.open({ size: 65507 }).send(1)
    expect(w.link.take().length).toBe(45)
    w.open({ size: 0 }).send(1)
    expect(readIp(w.link.take()[0].bytes).total).toBe(28)
    w.link.room = 0
    expect(w.open().send(1)).toBe(false)
    expect(new Set(w.icmp.clients.keys()).size).toBe(w.icmp.clients.size)
  })

  test('10,000 replies that nobody hears cost no memory', () => {
    const w = new PingWorld()
    const p = w.open({ size: 0 })
    p.send(1)
    const [bytes] = sendsOf(w)
    for (let i = 0; i < 10_000; i++) w.arrive(replyTo(bytes, '10.0.0.1'))
    w.tell()
    expect(w.events.length).toBe(256)
  })
})

describe('ping()', () => {
  /** Runs an iteration to its end in virtual time; `peer` plays the other side after each step. */
  async function run(w: PingWorld, options: PingOptions, peer: (step: number) => void, to = PEER): Promise<PingResult[]> {
    const results: PingResult[] = []
    let done = false
    const consumer = (async () => {
      for await (const result of ping(w.deps, to, options)) results.push(result)
    })().finally(() => {
      done = true
    })
    for (let step = 0; !done && step < 1000; step++) {
      peer(step)
      w.tell()
      for (let i = 0; i < 5; i++) await Promise.resolve()
      if (!done) w.host.advance(10)
      for (let i = 0; i < 5; i++) await Promise.resolve()
    }
    await consumer
    return results
  }

  test('answers in order, at the interval, and then the end', async () => {
    const w = new PingWorld()
    const times: number[] = []
    const results = await run(w, { count: 3, intervalMs: 100 }, () => {
      if (w.link.sent.length > 0) times.push(w.host.elapsedMs)
      w.answer()
    })
    expect(results).toEqual([1, 2, 3].map((seq) => ({ seq, from: '10.0.0.1', bytes: 56, ttl: 61, timeMs: 0, duplicate: false })))
    expect(times).toEqual([0, 100, 200])
    expect(w.host.holds).toBe(0)
    expect(w.icmp.clients.size).toBe(0)
  })

  test('a lost reply is ETIMEDOUT, and a late one is not an answer', async () => {
    const w = new PingWorld()
    let late: Buffer | null = null
    const results = await run(w, { count: 2, intervalMs: 100, timeoutMs: 50 }, (step) => {
      const [first] = w.link.take()
      if (first !== undefined && step === 0) late = first.bytes
      else if (first !== undefined) w.arrive(replyTo(first.bytes, '10.0.0.1'))
      if (step === 7) w.arrive(replyTo(late!, '10.0.0.1'))
    })
    expect(results.map((r) => [r.seq, r.error])).toEqual([
      [1, 'ETIMEDOUT'],
      [2, undefined],
    ])
  })

  test('no way there: each request says so', async () => {
    const w = new PingWorld()
    const results = await run(w, { count: 2, intervalMs: 10 }, () => {}, address('192.0.2.1'))
    expect(results).toEqual([
      { seq: 1, error: 'ENETUNREACH' },
      { seq: 2, error: 'ENETUNREACH' },
    ])
  })

  test('break ends it: nothing is left behind', async () => {
    const w = new PingWorld()
    const consumer = (async () => {
      for await (const result of ping(w.deps, PEER)) return result
      return null
    })()
    w.answer()
    w.tell()
    expect(await consumer).toMatchObject({ seq: 1 })
    expect(w.host.holds).toBe(0)
    expect(w.icmp.clients.size).toBe(0)
    w.host.advance(5000)
    expect(w.link.sent).toEqual([])
  })

  test('an abort rejects with its reason, before or during', async () => {
    const w = new PingWorld()
    const controller = new AbortController()
    const pending = ping(w.deps, PEER, { signal: controller.signal }).next()
    controller.abort(new Error('enough'))
    await expect(pending).rejects.toThrow('enough')
    await expect(ping(w.deps, PEER, { signal: controller.signal }).next()).rejects.toThrow('enough')
    expect(w.host.holds).toBe(0)
    expect(w.icmp.clients.size).toBe(0)
    await expect(ping(w.deps, PEER, { size: 70000 }).next()).rejects.toMatchObject({ code: 'EMSGSIZE' })
  })
})
