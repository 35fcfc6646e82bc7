import { describe, expect, it } from 'vitest'
import { Address, ANY_V4, address, prefix } from '../../src/base/address.ts'
import type { DhcpOptions } from '../../src/dhcp/client-options.ts'
import { DhcpMessage, DISCOVER, INFORM, OFFER, optionBytes, REQUEST, readMessage, writeMessage } from '../../src/dhcp/message.ts'
import type { OptionValues } from '../../src/dhcp/options.ts'
import { DhcpPort } from '../../src/dhcp/port.ts'
import type { DhcpServer } from '../../src/dhcp/server.ts'
import type { DhcpServerOptions, LeaseRecord } from '../../src/dhcp/server-options.ts'
import { DHCP_MESSAGE_NAMES } from '../../src/dhcp/wire.ts'
import { formatMac, parseMac } from '../../src/ethernet/mac.ts'
import { createPipe } from '../../src/link/pipe.ts'
import { createWorld } from '../../src/sim/world.ts'

const RANGE = { ranges: ['10.0.0.100-10.0.0.103'], options: { routers: ['10.0.0.1'], domainNameServers: ['10.0.0.1'] } }

/** A server, and on the other end of its link somebody who speaks DHCP by hand, or a client of ours. */
class ServerWorld {
  readonly world = createWorld({ seed: 5 })
  readonly stack = this.world.stack({ name: 'server' })
  readonly other = this.world.stack({ name: 'other' })
  readonly server: DhcpServer
  readonly eth0
  readonly said: string[] = []
  readonly events: string[] = []
  last: DhcpMessage = new DhcpMessage()
  private port: DhcpPort | null = null
  readonly link
  private readonly bytes = new Uint8Array(1472)
  private xid = 0

  constructor(options: DhcpServerOptions = RANGE) {
    const [left, right] = createPipe()
    this.link = right
    this.eth0 = this.stack.attach(left, { addresses: ['10.0.0.1/24'] })
    this.server = this.stack.dhcpServer(this.eth0, { probe: false, ...options })
    this.server.onLease = (lease, event) => this.events.push(`${event} ${lease.address}`)
  }

  /** Takes port 68 by hand. */
  byHand(): this {
    const iface = this.other.attach(this.link, { mac: '02:00:00:00:00:aa' }).iface
    const { udp, ipLayer: ip, ipv4, frame, turn } = this.other
    iface.openPort = 68
    const datagram = (buf: Uint8Array, length: number, from: { localAddress: Address }): void => {
      this.last = readMessage(buf, 0, length)!
      this.said.push(`${DHCP_MESSAGE_NAMES[this.last.type]} ${Address.v4(this.last.yiaddr)} > ${from.localAddress}`)
    }
    this.port = new DhcpPort({ udp, ip, ipv4, frame, wake: turn.wake }, iface, 68, 67, { datagram }, false)
    return this
  }

  /** Says something as the client with this MAC address; returns what the server said. */
  say(
    type: number,
    options: OptionValues,
    mac = '02:00:00:00:00:aa',
    change: (m: DhcpMessage) => void = () => undefined,
  ): string[] {
    this.send(type, options, mac, change)
    this.world.run(5)
    return this.said.splice(0)
  }

  send(type: number, options: OptionValues, mac: string, change: (m: DhcpMessage) => void = () => undefined): void {
    const m = new DhcpMessage()
    m.xid = ++this.xid
    m.chaddr = parseMac(mac)
    m.broadcast = mac !== '02:00:00:00:00:aa'
    m.set('messageType', type)
    for (const [code, bytes] of optionBytes(options)) m.options.set(code, bytes)
    change(m)
    this.port!.broadcast(this.bytes, writeMessage(m, this.bytes, 0, this.bytes.length), ANY_V4)
  }

  /** A whole exchange; the address, or what was said in place of it. */
  obtain(mac: string, options: OptionValues = {}): string {
    const [offer] = this.say(DISCOVER, options, mac)
    if (offer === undefined) return 'nothing'
    const requestedAddress = Address.v4(this.last.yiaddr).toString()
    const [ack] = this.say(REQUEST, { ...options, requestedAddress, serverIdentifier: '10.0.0.1' }, mac)
    return ack === undefined ? 'silence' : ack.startsWith('ACK') ? requestedAddress : ack
  }

  client(dhcp: DhcpOptions = {}, mac = '02:00:00:00:00:05') {
    return this.other.attach(this.link, { mac, dhcp: { probe: false, ...dhcp } })
  }
}

const MAC = (n: number): string => formatMac(Uint8Array.of(2, 0, 0, 0, n >> 8, n & 255))

describe('our server and our client', () => {
  it('agree on a lease, renew it and end it', async () => {
    const w = new ServerWorld({ ...RANGE, probe: true, leaseSeconds: 600 })
    const eth0 = w.client({ hostname: 'lab', probe: true })
    await w.world.settle(eth0.ready)
    expect(eth0.lease).toMatchObject({
      prefix: '10.0.0.100/24',
      server: '10.0.0.1',
      routers: ['10.0.0.1'],
      nameservers: ['10.0.0.1'],
    })
    expect(w.server.leases).toMatchObject([
      { address: '10.0.0.100', mac: '02:00:00:00:00:05', clientId: '01020000000005', hostname: 'lab', state: 'bound' },
    ])
    w.world.run(400_000)
    eth0.dhcp!.release()
    w.world.run(10)
    expect(w.events).toEqual(['bound 10.0.0.100', 'renewed 10.0.0.100', 'released 10.0.0.100'])
    expect(w.server.leases).toEqual([])
    expect(w.stack.counters(true)['dhcp.server']).toMatchObject({
      inDiscovers: 1,
      inRequests: 2,
      inReleases: 1,
      outAcks: 2,
      probes: 1,
    })
  })

  it('in two messages; for ten days; and for ever', async () => {
    const w = new ServerWorld({ ...RANGE, rapidCommit: true, leaseSeconds: Number.POSITIVE_INFINITY })
    const eth0 = w.client({ rapidCommit: true })
    await w.world.settle(eth0.ready)
    expect(w.stack.counters(true)['dhcp.server']).toEqual({ inDiscovers: 1, outAcks: 1 })
    expect(eth0.lease!.expiresAt).toBe(Number.POSITIVE_INFINITY)
    const days = new ServerWorld({ ...RANGE, leaseSeconds: 86_400 })
    const eth1 = days.client()
    await days.world.settle(eth1.ready)
    days.world.run(10 * 86_400_000)
    expect(eth1.addresses).toEqual(['10.0.0.100/24'])
    expect(days.events.filter((e) => !e.startsWith('renewed'))).toEqual(['bound 10.0.0.100'])
  })

  it('over an INFORM', async () => {
    const w = new ServerWorld()
    const eth0 = w.other.attach(w.link, { addresses: ['10.0.0.77/24'], dhcp: { inform: true } })
    await w.world.settle(eth0.ready)
    expect([eth0.nameservers, eth0.addresses]).toEqual([['10.0.0.1'], ['10.0.0.77/24']])
    expect(w.server.leases).toEqual([])
  })

  it('give way to a host that has the address, seen by either', async () => {
    const w = new ServerWorld({ ...RANGE, probe: true })
    w.other.attach(w.link, { addresses: ['10.0.0.100/24'], mac: '02:00:00:00:00:05' })
    w.other.interfaces[0].setPromiscuous(true)
    const hand = w.other.interfaces[0]
    const { udp, ipLayer: ip, ipv4, frame, turn } = w.other
    const said: string[] = []
    const datagram = (buf: Uint8Array, length: number): void => {
      said.push(`${Address.v4(readMessage(buf, 0, length)!.yiaddr)}`)
    }
    const port = new DhcpPort({ udp, ip, ipv4, frame, wake: turn.wake }, hand.iface, 68, 67, { datagram }, false)
    const m = new DhcpMessage()
    m.chaddr = parseMac('02:00:00:00:00:99')
    m.broadcast = true
    m.set('messageType', DISCOVER)
    const bytes = new Uint8Array(600)
    port.broadcast(bytes, writeMessage(m, bytes, 0, 600), ANY_V4)
    w.world.run(3000)
    expect(said).toEqual(['10.0.0.101'])
    expect(w.server.leases).toMatchObject([{ address: '10.0.0.100', state: 'abandoned' }])
    w.world.run(601_000)
    expect(w.server.leases).toEqual([])
  })
})

describe('the server', () => {
  it('answers to the address it offers, or to everybody who says so', () => {
    const w = new ServerWorld().byHand()
    expect(w.say(DISCOVER, {})).toEqual(['OFFER 10.0.0.100 > 10.0.0.100'])
    expect(
      w.say(DISCOVER, {}, undefined, (m) => {
        m.broadcast = true
      }),
    ).toEqual(['OFFER 10.0.0.100 > 255.255.255.255'])
    expect(w.last.get('serverIdentifier')).toBe('10.0.0.1')
    expect(w.last.get('leaseTime')).toBe(3600)
    expect([w.last.get('renewalTime'), w.last.get('rebindingTime')]).toEqual([1800, 3150])
    expect([w.last.get('subnetMask'), w.last.get('broadcastAddress')]).toEqual(['255.255.255.0', '10.0.0.255'])
  })

  it('says what is asked for, in that order, and the identifier of the client (RFC 6842)', () => {
    const w = new ServerWorld().byHand()
    const clientIdentifier = Uint8Array.of(0, 1, 2, 3)
    w.say(DISCOVER, { parameterRequestList: [6, 3, 42], clientIdentifier })
    expect([...w.last.options.keys()]).toEqual([53, 54, 51, 58, 59, 1, 6, 3, 61])
    expect(w.last.get('clientIdentifier')).toEqual(clientIdentifier)
  })

  it('gives each client one address, the same again, and the longest unused when all were given', () => {
    const w = new ServerWorld().byHand()
    expect([1, 2, 3, 4].map((n) => w.obtain(MAC(n)))).toEqual(['10.0.0.100', '10.0.0.101', '10.0.0.102', '10.0.0.103'])
    expect(w.obtain(MAC(5))).toBe('nothing')
    expect(w.server.counters.snapshot(true)).toMatchObject({ dropNoAddress: 1 })
    expect(w.obtain(MAC(2))).toBe('10.0.0.101')
    w.world.run(3_601_000)
    expect(w.server.leases).toEqual([])
    expect(w.obtain(MAC(3))).toBe('10.0.0.102')
    expect(w.obtain(MAC(9))).toBe('10.0.0.100')
    expect(w.obtain(MAC(8), { requestedAddress: '10.0.0.103' })).toBe('10.0.0.103')
  })

  it('reservations: by link address, by identifier; nobody else gets them', () => {
    const w = new ServerWorld({
      ...RANGE,
      reservations: [
        { address: '10.0.0.100', mac: MAC(7), hostname: 'seven', options: { routers: ['10.0.0.9'] } },
        { address: '10.0.0.200', clientId: '00:0a' },
      ],
    }).byHand()
    expect(w.obtain(MAC(1))).toBe('10.0.0.101')
    expect(w.obtain(MAC(7))).toBe('10.0.0.100')
    expect([w.last.get('hostName'), w.last.get('routers')]).toEqual(['seven', ['10.0.0.9']])
    expect(w.obtain(MAC(3), { clientIdentifier: Uint8Array.of(0, 10) })).toBe('10.0.0.200')
    expect(w.obtain(MAC(4), { requestedAddress: '10.0.0.200' })).toBe('10.0.0.102')
  })

  it('refuses the addresses of other networks and of others, and adopts those that are free', () => {
    const w = new ServerWorld().byHand()
    w.obtain(MAC(1))
    const ask = (requestedAddress: string): string[] => w.say(REQUEST, { requestedAddress })
    expect(ask('192.168.7.7')).toEqual(['NAK 0.0.0.0 > 255.255.255.255'])
    expect(ask('10.0.0.100')).toEqual(['NAK 0.0.0.0 > 255.255.255.255'])
    expect(ask('10.0.0.102')).toEqual(['ACK 10.0.0.102 > 10.0.0.102'])
    const humble = new ServerWorld({ ...RANGE, authoritative: false }).byHand()
    expect(humble.say(REQUEST, { requestedAddress: '10.0.0.102' })).toEqual([])
    expect(humble.say(REQUEST, { requestedAddress: '192.168.7.7' })).toEqual(['NAK 0.0.0.0 > 255.255.255.255'])
  })

  it('forgets its offer when another server is chosen, and in time', () => {
    const w = new ServerWorld({ ranges: ['10.0.0.100'] }).byHand()
    w.say(DISCOVER, {}, MAC(1))
    expect(w.obtain(MAC(2))).toBe('nothing')
    w.say(REQUEST, { requestedAddress: '10.0.0.50', serverIdentifier: '10.0.0.2' }, MAC(1))
    expect(w.obtain(MAC(2))).toBe('10.0.0.100')
    const late = new ServerWorld({ ranges: ['10.0.0.100'] }).byHand()
    late.say(DISCOVER, {}, MAC(1))
    late.world.run(31_000)
    expect(late.obtain(MAC(2))).toBe('10.0.0.100')
  })

  it('does not give a declined address again for a while, and believes only whose it is', () => {
    const w = new ServerWorld({ ranges: ['10.0.0.100-10.0.0.101'] }).byHand()
    expect(w.obtain(MAC(1))).toBe('10.0.0.100')
    w.say(4, { requestedAddress: '10.0.0.100', serverIdentifier: '10.0.0.1' }, MAC(2))
    expect(w.server.leases[0].state).toBe('bound')
    w.say(4, { requestedAddress: '10.0.0.100', serverIdentifier: '10.0.0.1' }, MAC(1))
    expect(w.server.leases[0].state).toBe('abandoned')
    expect(w.obtain(MAC(1))).toBe('10.0.0.101')
    expect(w.obtain(MAC(3))).toBe('nothing')
    w.world.run(601_000)
    expect(w.obtain(MAC(3))).toBe('10.0.0.100')
    expect(w.server.counters.snapshot(true)).toMatchObject({ dropNotTheirs: 1 })
  })

  it('serves networks behind relays, and gives back what the relay said (RFC 3046)', () => {
    const w = new ServerWorld({
      ...RANGE,
      networks: [{ prefix: '10.9.0.0/24', ranges: ['10.9.0.10-10.9.0.20'], options: { routers: ['10.9.0.1'] } }],
    })
    const heard: DhcpMessage[] = []
    const relay = w.other.attach(w.link, { addresses: ['10.0.0.2/24', '10.9.0.1/24'] })
    const socket = w.other.udp.open({
      onReadable(s) {
        const bytes = new Uint8Array(1500)
        const into = { buf: bytes, off: 0, len: 0, size: 0 } as Parameters<typeof s.receive>[0]
        Object.assign(into, { address: new Address(), localAddress: new Address() })
        while (s.receive(into)) heard.push(readMessage(bytes, 0, into.len)!)
      },
    })
    socket.bind('10.9.0.1', 67)
    const m = new DhcpMessage()
    m.chaddr = parseMac(MAC(1))
    m.giaddr = address('10.9.0.1').w3
    m.hops = 1
    m.set('messageType', DISCOVER).set('relayAgentInformation', { 1: Uint8Array.of(7, 7), 2: Uint8Array.of(9) })
    const bytes = new Uint8Array(600)
    w.stack.addRoute(prefix('10.9.0.0/24'), '10.0.0.2', w.eth0)
    socket.send(bytes, 0, writeMessage(m, bytes, 0, 600), address('10.0.0.1'), 67)
    w.world.run(100)
    expect(heard.length).toBe(1)
    expect([heard[0].type, Address.v4(heard[0].yiaddr).toString()]).toEqual([OFFER, '10.9.0.10'])
    expect(heard[0].get('relayAgentInformation')).toEqual({ 1: Uint8Array.of(7, 7), 2: Uint8Array.of(9) })
    expect([...heard[0].options.keys()].pop()).toBe(82)
    expect([heard[0].get('routers'), heard[0].get('subnetMask')]).toEqual([['10.9.0.1'], '255.255.255.0'])
    m.giaddr = address('172.16.0.1').w3
    socket.send(bytes, 0, writeMessage(m, bytes, 0, 600), address('10.0.0.1'), 67)
    w.world.run(100)
    expect(w.server.counters.snapshot(true)).toMatchObject({ dropNoSubnet: 1 })
    expect(relay.up).toBe(true)
  })

  it('lets clients choose the time, within limits', () => {
    const w = new ServerWorld({ ...RANGE, minLeaseSeconds: 100, maxLeaseSeconds: 1000 }).byHand()
    const given = (leaseTime: number): number => {
      w.say(DISCOVER, { leaseTime })
      return w.last.get('leaseTime')!
    }
    expect([50, 500, 5000, 0xffffffff].map(given)).toEqual([100, 500, 1000, 1000])
  })

  it('keeps its leases in a store, and gives nothing that the store did not take', () => {
    const kept = new Map<string, LeaseRecord>()
    let fails = false
    const store = {
      load: () => [...kept.values()],
      save(record: LeaseRecord) {
        if (fails) throw new Error('disk full')
        kept.set(record.address, record)
      },
    }
    const w = new ServerWorld({ ...RANGE, store }).byHand()
    w.obtain(MAC(1), { clientIdentifier: Uint8Array.of(1, 2, 3) })
    w.obtain(MAC(2))
    const again = new ServerWorld({ ...RANGE, store }).byHand()
    expect(again.server.leases.map((l) => l.address)).toEqual(['10.0.0.100', '10.0.0.101'])
    expect(again.obtain(MAC(2))).toBe('10.0.0.101')
    expect(again.obtain(MAC(5), { clientIdentifier: Uint8Array.of(1, 2, 3) })).toBe('10.0.0.100')
    fails = true
    expect(() => again.obtain(MAC(6))).toThrow('disk full')
    expect(again.server.counters.snapshot(true)).toMatchObject({ dropStore: 1 })
  })

  it('waits once for the disk with all that came in together, and then says what is safe', () => {
    const done: string[] = []
    let fails = false
    const store = {
      load: () => [],
      save: ({ address }: LeaseRecord) => void done.push(`save ${address.slice(7)}`),
      sync() {
        if (fails) throw new Error('no disk')
        done.push('sync')
      },
    }
    const w = new ServerWorld({ ...RANGE, store }).byHand()
    w.server.onLease = (lease, event) => void done.push(`${event} ${lease.address.slice(7)}`)
    for (const n of [1, 2]) w.say(DISCOVER, {}, MAC(n))
    expect(done).toEqual([])
    const ask = (n: number): void => {
      w.send(REQUEST, { requestedAddress: `10.0.0.${99 + n}`, serverIdentifier: '10.0.0.1' }, MAC(n))
    }
    ask(1)
    ask(2)
    w.world.run(5)
    expect(done).toEqual(['save 100', 'save 101', 'sync', 'bound 100', 'bound 101'])
    expect(w.said.length).toBe(2)
    fails = true
    ask(1)
    ask(2)
    expect(() => w.world.run(5)).toThrow('no disk')
    expect(w.said.length).toBe(2)
    expect(w.server.counters.snapshot(true)).toMatchObject({ outAcks: 2, dropStore: 2 })
  })

  it('serves several interfaces, each from the ranges of its network', async () => {
    const world = createWorld({ seed: 6 })
    const [router, hosts] = [world.stack(), world.stack()]
    const pipes = [createPipe(), createPipe()]
    const inside = pipes.map(([near], i) => router.attach(near, { addresses: [`10.0.${i}.1/24`] }))
    const networks = [{ prefix: '10.0.1.0/24', options: { routers: ['10.0.1.1'] } }]
    const server = router.dhcpServer(inside, { ranges: ['10.0.0.50', '10.0.1.60'], networks, probe: false })
    const outside = pipes.map(([, far]) => hosts.attach(far, { dhcp: { probe: false } }))
    for (const eth of outside) await world.settle(eth.ready)
    expect(outside.map((eth) => [eth.addresses, eth.lease?.server, eth.lease?.routers])).toEqual([
      [['10.0.0.50/24'], '10.0.0.1', []],
      [['10.0.1.60/24'], '10.0.1.1', ['10.0.1.1']],
    ])
    expect(server.leases.length).toBe(2)
  })

  it('is not moved by a flood of strangers beyond its ranges', () => {
    const w = new ServerWorld().byHand()
    for (let i = 0; i < 300; i++) w.say(DISCOVER, {}, MAC(i))
    expect(w.server.counters.snapshot(true)).toMatchObject({ inDiscovers: 300, outOffers: 4, dropNoAddress: 296 })
  })

  it('answers nothing that is not asked of it', () => {
    const w = new ServerWorld().byHand()
    expect(w.say(OFFER, {})).toEqual([])
    expect(w.say(REQUEST, {})).toEqual([])
    expect(w.say(INFORM, {})).toEqual([])
    expect(
      w.say(DISCOVER, {}, undefined, (m) => {
        m.op = 2
      }),
    ).toEqual([])
    expect(w.server.counters.snapshot(true)).toMatchObject({ dropUnknownType: 1, dropNotAsked: 2, dropNotRequest: 1 })
  })

  it('ends with its stack, and leaves the port', async () => {
    const w = new ServerWorld()
    w.server.close()
    expect(w.stack.dhcpServers.size).toBe(0)
    const again = w.stack.dhcpServer(w.eth0, RANGE)
    expect(() => w.stack.dhcpServer(w.eth0, RANGE)).toThrow(expect.objectContaining({ code: 'EADDRINUSE' }))
    await w.stack.close()
    expect([again.leases, w.stack.dhcpServers.size, w.world.host.holds]).toEqual([[], 0, 0])
  })

  it.each<[string, DhcpServerOptions, string]>([
    ['a range of another network', { ranges: ['10.1.0.1-10.1.0.9'] }, 'ERR_INVALID_ARG_VALUE'],
    ['a range that goes back', { ranges: ['10.0.0.9-10.0.0.1'] }, 'ERR_INVALID_ARG_VALUE'],
    ['no addresses', { ranges: ['here'] }, 'ERR_INVALID_IP_ADDRESS'],
    ['an option that nobody knows', { options: { colour: 'red' } as OptionValues }, 'ERR_INVALID_ARG_VALUE'],
    ['an option of the wrong kind', { options: { routers: '10.0.0.1' } as unknown as OptionValues }, 'ERR_INVALID_ARG_VALUE'],
    ['a reservation of nobody', { reservations: [{ address: '10.0.0.5' }] }, 'ERR_INVALID_ARG_VALUE'],
  ])('refuses %s', (_, options, code) => {
    const w = new ServerWorld()
    w.server.close()
    expect(() => w.stack.dhcpServer(w.eth0, options)).toThrow(expect.objectContaining({ code }))
    expect(w.stack.dhcpServers.size).toBe(0)
  })
})
