import { describe, expect, it } from 'vitest'
import { Address } from '../../src/base/address.ts'
import { NetError } from '../../src/base/errors.ts'
import { udpEcho } from '../../src/services/echo.ts'
import { startServices } from '../../src/services/inetd.ts'
import { UdpResponder } from '../../src/services/responder.ts'
import { createWorld } from '../../src/sim/world.ts'
import { Datagram } from '../../src/udp/receive-queue.ts'
import type { UdpSocket } from '../../src/udp/socket.ts'

function lab() {
  const world = createWorld({ seed: 3 })
  const client = world.stack()
  const server = world.stack()
  world.link(client, server)
  const services = startServices(server)
  const answers: string[] = []
  const socket = client.udp.open({
    onReadable(s) {
      const d = new Datagram(new Uint8Array(65536))
      while (s.receive(d)) answers.push(Buffer.from(d.buf.subarray(0, d.len)).toString('latin1'))
    },
  })
  const ask = (text: string, port: number, to = '10.0.0.2'): string[] => {
    answers.length = 0
    const bytes = Buffer.from(text, 'latin1')
    socket.broadcast = true
    socket.send(bytes, 0, bytes.length, Address.v4(to.split('.').reduce((w, n) => (w << 8) | Number(n), 0)), port)
    world.run(100)
    return [...answers]
  }
  return { world, client, server, services, socket, ask }
}

describe('services over UDP', () => {
  it('echo gives each datagram back, empty and large ones too', () => {
    const { ask } = lab()
    expect(ask('hello', 7)).toEqual(['hello'])
    expect(ask('', 7)).toEqual([''])
    const large = 'x'.repeat(60_000)
    expect(ask(large, 7)).toEqual([large])
  })

  it('answers from the address that was asked (RFC 1122 section 4.1.3.5)', () => {
    const { client, server, world } = lab()
    void server.interfaces[0].addAddress('10.0.0.9/24')
    const from: string[] = []
    const socket = client.udp.open({
      onReadable(s) {
        const d = new Datagram(new Uint8Array(64))
        while (s.receive(d)) from.push(d.address.toString())
      },
    })
    for (const last of [9, 2, 9]) {
      socket.send(new Uint8Array(4), 0, 4, Address.v4(0x0a000000 | last), 7)
      world.run(100)
    }
    expect(from).toEqual(['10.0.0.9', '10.0.0.2', '10.0.0.9'])
  })

  it('discard is silent, daytime tells the time, chargen at most 512 characters', () => {
    const { ask, services } = lab()
    expect(ask('hello', 9)).toEqual([])
    expect(ask('', 13)).toEqual(['Monday, January 1, 2024 00:00:00-UTC\r\n'])
    const lengths = new Set<number>()
    for (let i = 0; i < 200; i++) {
      const [text] = ask('?', 19)
      lengths.add(text.length)
      expect(text.length).toBeLessThanOrEqual(512)
      // Each datagram goes on one line later.
      if (text.length > 0) expect(text.charCodeAt(0)).toBe(0x20 + (i % 95))
    }
    expect(lengths.size).toBeGreaterThan(50)
    expect(services.counters().discard).toMatchObject({ datagrams: 1, answers: 0 })
    expect(services.counters().chargen).toMatchObject({ datagrams: 200, answers: 200 })
  })

  it('does not answer other services: two of them would never end', () => {
    const { world, client, services } = lab()
    const forged = client.udp.open()
    forged.bind(forged.any, 19)
    forged.send(Uint8Array.of(1), 0, 1, Address.v4(0x0a000002), 7)
    world.run(100)
    expect(forged.readable).toBe(0)
    expect(services.counters().echo).toMatchObject({ datagrams: 1, answers: 0, dropServicePort: 1 })
  })

  it('does not answer what was sent to everybody', () => {
    const { ask, services } = lab()
    expect(ask('all', 7, '10.0.0.255')).toEqual([])
    expect(ask('all', 7, '255.255.255.255')).toEqual([])
    expect(services.counters().echo).toMatchObject({ datagrams: 2, answers: 0, dropToMany: 2 })
  })
})

describe('UdpResponder', () => {
  /** A socket with datagrams 0, 1, ... waiting, on a link that may be full or unreachable. */
  function fake(count: number) {
    const sent: number[] = []
    const state = { full: false, unreachable: false, next: 0 }
    const socket = {
      receive(d: Datagram): boolean {
        if (state.next === count) return false
        d.buf[0] = state.next++
        d.len = 1
        d.port = 1234
        return true
      },
      send(buf: Uint8Array): boolean {
        if (state.unreachable) throw new NetError('ENETUNREACH')
        if (state.full) return false
        sent.push(buf[0])
        return true
      },
    }
    return { socket: socket as unknown as UdpSocket, sent, state }
  }

  it('keeps the answer that a full link refused, and takes no more until there is room', () => {
    const { socket, sent, state } = fake(5)
    const responder = new UdpResponder(udpEcho)
    state.full = true
    responder.onReadable(socket)
    expect(state.next).toBe(1)
    responder.onReadable(socket)
    responder.onWritable(socket)
    expect(state.next).toBe(1)
    state.full = false
    responder.onWritable(socket)
    expect(sent).toEqual([0, 1, 2, 3, 4])
    expect(responder.counters.snapshot(true)).toEqual({ datagrams: 5, answers: 5 })
  })

  it('counts what cannot be sent and goes on', () => {
    const { socket, sent, state } = fake(3)
    const responder = new UdpResponder(udpEcho)
    state.unreachable = true
    responder.onReadable(socket)
    expect(sent).toEqual([])
    expect(responder.counters.snapshot(true)).toEqual({ datagrams: 3, dropUnsendable: 3 })
  })
})
