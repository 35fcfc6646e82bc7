/** Resolution, reachability and answers of Neighbor Discovery on one interface (RFC 4861 section 7). */
import { describe, expect, it, test } from 'vitest'
import { OTHER_MAC, OUR_MAC, PEER_MAC } from '../support/arp-world.ts'
import { groupMac, groupOf, NA, NdWorld, NS, O, R, S } from '../support/nd-world.ts'

const question = {
  type: NS,
  mac: groupMac('fd00::1'),
  from: 'fd00::2',
  to: groupOf('fd00::1'),
  target: 'fd00::1',
  flags: 0,
  options: [`sll ${OUR_MAC}`],
}

/** fd00::1 is known in the state wanted. */
function known(state: 'INCOMPLETE' | 'REACHABLE' | 'STALE' | 'PROBE'): NdWorld {
  const w = new NdWorld()
  if (state === 'STALE') w.hearNd()
  else {
    w.send(w.neighbor('fd00::1'))
    if (state !== 'INCOMPLETE') w.answer()
    if (state === 'PROBE') {
      w.advance(60_000)
      w.send(w.neighbor('fd00::1'))
      w.advance(5_000)
    }
  }
  w.taken()
  return w
}

describe('resolution', () => {
  test('asks the solicited-node group, from the address of the packet that waits, and sends that when it is answered (7.2.2)', () => {
    const w = new NdWorld()
    w.send(w.neighbor('fd00::1'))
    expect(w.takenNd()).toEqual([{ at: 0, ...question }])
    w.answer()
    expect(w.taken().map((f) => f.to)).toEqual([PEER_MAC])
    expect(w.entry('fd00::1')).toBe(`REACHABLE ${PEER_MAC}`)
    expect(w.counters()).toMatchObject({ outNeighborSolicits: 1, inNeighborAdvertisements: 1 })
  })

  test('from a link-local address for a packet that has one', () => {
    const w = new NdWorld()
    w.send(w.neighbor('fd00::1'), 'fe80::2')
    expect(w.takenNd()).toEqual([{ at: 0, ...question, from: 'fe80::2' }])
  })

  test('three times, a second apart; then the packets are reported', () => {
    const w = new NdWorld()
    w.send(w.neighbor('fd00::1'))
    w.advance(2_999)
    expect(w.takenNd().map((m) => m.at)).toEqual([0, 1000, 2000])
    expect(w.unreachable).toEqual([])
    w.advance(1)
    expect(w.unreachable).toEqual(['fd00::1'])
    expect(w.takenNd()).toEqual([])
  })

  test('without an address that may be used nothing is asked', () => {
    const w = new NdWorld({}, [])
    w.give('fd00::2/64', true)
    w.send(w.neighbor('fd00::1'))
    expect(w.takenNd()).toEqual([])
    expect(w.counters()).toMatchObject({ dropNoSource: 1 })
  })

  test('a link that is full is asked again a second later', () => {
    const w = new NdWorld()
    w.link.room = 0
    w.send(w.neighbor('fd00::1'))
    w.link.room = 9
    w.advance(1_000)
    expect(w.takenNd().map((m) => m.at)).toEqual([1000])
    expect(w.counters()).toMatchObject({ dropLinkFull: 1 })
  })

  test('a neighbour that is used again is asked itself, three times, before it is forgotten (7.3.3)', () => {
    const w = known('PROBE')
    const probe = { ...question, mac: PEER_MAC, to: 'fd00::1' }
    w.advance(3_000)
    expect(w.takenNd()).toEqual([
      { at: 66_000, ...probe },
      { at: 67_000, ...probe },
    ])
    expect(w.entry('fd00::1')).toBe('none')
  })

  test('TCP progress keeps it REACHABLE without a question (7.3.1)', () => {
    const w = known('REACHABLE')
    for (let i = 0; i < 20; i++) {
      w.advance(10_000)
      w.neighbor('fd00::1').confirm()
    }
    w.send(w.neighbor('fd00::1'))
    expect(w.takenNd()).toEqual([])
    expect(w.entry('fd00::1')).toBe(`REACHABLE ${PEER_MAC}`)
  })
})

describe('what an advertisement changes (7.2.5)', () => {
  const same = [`tll ${PEER_MAC}`]
  const other = [`tll ${OTHER_MAC}`]
  it.each([
    // state, flags, options, becomes
    ['INCOMPLETE', S, same, `REACHABLE ${PEER_MAC}`],
    ['INCOMPLETE', 0, same, `DELAY ${PEER_MAC}`], // STALE, and what waited is sent at once
    ['INCOMPLETE', S | O | R, same, `REACHABLE ${PEER_MAC} R`],
    ['INCOMPLETE', S | O, [], 'INCOMPLETE -'],
    ['REACHABLE', 0, other, `STALE ${PEER_MAC}`],
    ['REACHABLE', S, other, `STALE ${PEER_MAC}`],
    ['REACHABLE', S | R, other, `STALE ${PEER_MAC}`],
    ['REACHABLE', O, other, `STALE ${OTHER_MAC}`],
    ['REACHABLE', O | S, other, `REACHABLE ${OTHER_MAC}`],
    ['REACHABLE', 0, same, `REACHABLE ${PEER_MAC}`],
    ['REACHABLE', O | R, same, `REACHABLE ${PEER_MAC} R`],
    ['REACHABLE', R, [], `REACHABLE ${PEER_MAC} R`],
    ['STALE', 0, other, `STALE ${PEER_MAC}`],
    ['STALE', S, other, `STALE ${PEER_MAC}`],
    ['STALE', S | O, other, `REACHABLE ${OTHER_MAC}`],
    ['STALE', O, other, `STALE ${OTHER_MAC}`],
    ['STALE', S, same, `REACHABLE ${PEER_MAC}`],
    ['STALE', O, same, `STALE ${PEER_MAC}`],
    ['STALE', S, [], `REACHABLE ${PEER_MAC}`],
    ['PROBE', S, other, `PROBE ${PEER_MAC}`],
    ['PROBE', S, [], `REACHABLE ${PEER_MAC}`],
    ['PROBE', S | O, other, `REACHABLE ${OTHER_MAC}`],
    ['PROBE', O, other, `STALE ${OTHER_MAC}`],
    ['PROBE', O, same, `PROBE ${PEER_MAC}`],
  ] as const)('%s, flags %i, %j: %s', (state, flags, options, becomes) => {
    const w = known(state)
    w.answer(flags, [...options])
    expect(w.entry('fd00::1')).toBe(becomes)
  })

  test('nothing of one that we do not know', () => {
    const w = new NdWorld()
    w.answer()
    expect(w.entry('fd00::1')).toBe('none')
    expect(w.counters()).toMatchObject({ dropUnsolicited: 1 })
  })

  test('a router takes it as a hint of who is there (RFC 9131)', () => {
    const w = new NdWorld()
    w.iface.forwarding6 = true
    w.hearNd({ type: NA, from: 'fd00::1', to: 'ff02::1', target: 'fd00::1', options: same })
    w.hearNd({ type: NA, from: 'fd00::1', to: 'ff02::1', target: 'fd99::1', options: same })
    expect([w.entry('fd00::1'), w.entry('fd99::1')]).toEqual([`STALE ${PEER_MAC}`, 'none'])
  })

  test('that a router became a host is told', () => {
    const w = known('REACHABLE')
    const told: string[] = []
    w.nd.routers = { routerBecameHost: (n) => told.push(`${n.address}`), silent: () => undefined, advertised: () => false }
    w.answer(O | R)
    expect([w.entry('fd00::1'), told]).toEqual([`REACHABLE ${PEER_MAC} R`, []])
    w.answer(O)
    w.answer(O)
    expect([w.entry('fd00::1'), told]).toEqual([`REACHABLE ${PEER_MAC}`, ['fd00::1']])
  })

  test('an address of ours is not believed', () => {
    const w = new NdWorld()
    w.hearNd({ type: NA, from: 'fd00::2', to: 'ff02::1', target: 'fd00::2', flags: O, options: [`tll ${OTHER_MAC}`] })
    expect(w.counters()).toMatchObject({ conflicts: 1, dropConflict: 1 })
    expect(w.nd.neighbors.size).toBe(0)
  })
})

describe('answers', () => {
  const answer = {
    at: 0,
    type: NA,
    mac: PEER_MAC,
    from: 'fd00::2',
    to: 'fd00::1',
    target: 'fd00::2',
    flags: S | O,
    options: [`tll ${OUR_MAC}`],
  }

  test('who asks hears our link address, and is remembered (7.2.3, 7.2.4)', () => {
    const w = new NdWorld()
    w.hearNd()
    expect(w.takenNd()).toEqual([answer])
    expect(w.entry('fd00::1')).toBe(`STALE ${PEER_MAC}`)
    expect(w.counters()).toEqual({ announcements: 2, inNeighborSolicits: 1, outNeighborAdvertisements: 3 })
  })

  test('a probe of itself too, and a new link address is believed', () => {
    const w = new NdWorld()
    w.hearNd()
    w.taken()
    w.hearNd({ to: 'fd00::2', options: [`sll ${OTHER_MAC}`] })
    expect(w.takenNd()).toEqual([{ ...answer, mac: OTHER_MAC }])
    expect(w.entry('fd00::1')).toBe(`STALE ${OTHER_MAC}`)
  })

  test('a router says that it is one', () => {
    const w = new NdWorld()
    w.iface.forwarding6 = true
    w.hearNd()
    expect(w.takenNd()).toEqual([{ ...answer, flags: R | S | O }])
  })

  test('who asks from nobody hears what everybody hears', () => {
    const w = new NdWorld()
    w.hearNd({ from: '::', options: [] })
    expect(w.takenNd()).toEqual([{ ...answer, mac: '33:33:00:00:00:01', to: 'ff02::1', flags: O }])
    expect(w.nd.neighbors.size).toBe(0)
  })

  test('who does not say where it is is asked first', () => {
    const w = new NdWorld()
    w.hearNd({ options: [] })
    expect(w.takenNd()).toEqual([{ at: 0, ...question }])
    w.answer()
    expect(w.takenNd()).toEqual([answer])
  })

  test('nobody answers for others', () => {
    const w = new NdWorld()
    w.hearNd({ target: 'fd00:0:0:1::2', to: groupOf('fd00::2') })
    expect([w.takenNd(), w.nd.neighbors.size]).toEqual([[], 0])
    expect(w.counters()).toMatchObject({ dropNotForUs: 1 })
  })

  test('a flood of questions draws so many answers in a second and no more', () => {
    const w = new NdWorld({ advertisementsPerSecond: 10 })
    for (let i = 0; i < 100; i++) w.hearNd()
    expect(w.takenNd()).toHaveLength(10)
    expect(w.counters()).toMatchObject({ dropAdvertisementLimit: 90 })
    w.advance(1_000)
    w.hearNd()
    expect(w.takenNd()).toHaveLength(1)
  })
})

describe('a scan of the network (RFC 6583)', () => {
  test('takes a bounded place, and known neighbours and new ones are found meanwhile', () => {
    const w = known('REACHABLE')
    const { maxEntries } = w.nd.config
    for (let i = 0; i < 2_000; i++) {
      w.send(w.neighbor(`fd00::${i.toString(16)}:1`))
      if (i % 100 === 0) w.advance(100)
    }
    expect(w.nd.neighbors.size).toBeLessThanOrEqual(maxEntries / 4 + 1)
    expect(w.entry('fd00::1')).toBe(`REACHABLE ${PEER_MAC}`)
    expect(w.counters().outNeighborSolicits).toBeGreaterThan(1_000)
    w.send(w.neighbor('fd00::7'))
    w.advance(2_000)
    w.answer(S | O, [`tll ${OTHER_MAC}`], 'fd00::7')
    expect(w.entry('fd00::7')).toBe(`REACHABLE ${OTHER_MAC}`)
    expect(w.entry('fd00::1')).toBe(`REACHABLE ${PEER_MAC}`)
  })

  test('forged questions fill only what is for neighbours that never answered', () => {
    const w = known('REACHABLE')
    for (let i = 0; i < 600; i++) w.hearNd({ from: `fd00::${i.toString(16)}:9` })
    expect(w.nd.neighbors.size).toBeLessThanOrEqual(w.nd.config.maxEntries / 4 + 1)
    expect(w.entry('fd00::1')).toBe(`REACHABLE ${PEER_MAC}`)
  })
})
