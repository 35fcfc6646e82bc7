/** Frames by the hundred thousand from one template: fields are patched in place, checksums made right, and off it goes. */
import { put16, put32 } from '../../src/base/bytes.ts'
import { Repair, repair } from '../fuzz/anatomy.ts'
import type { Injector } from '../fuzz/injector.ts'

const PEER_MAC = [2, 0, 0, 0, 0, 1]
const TARGET_MAC = [2, 0, 0, 0, 0, 2]
/** Where headers begin in a frame without options. */
const IP = 14
const TRANSPORT = 34
/** Leaves the headroom that a link gives, and words aligned as a real frame has them. */
const START = 64

export const TARGET = 0x0a000002
export const PEER = 0x0a000001

export class Forge {
  readonly buf = new Uint8Array(4096)
  /** Bytes of the frame. */
  length = 0

  constructor(private readonly link: Injector) {
    this.buf.set([...TARGET_MAC, ...PEER_MAC, 8, 0], START)
  }

  put8(at: number, value: number): void {
    this.buf[START + at] = value
  }

  put16(at: number, value: number): void {
    put16(this.buf, START + at, value)
  }

  put32(at: number, value: number): void {
    put32(this.buf, START + at, value)
  }

  send(level: number = Repair.LENGTHS_TOO): void {
    repair(this.buf, START, START + this.length, level)
    this.link.inject(this.buf, START, START + this.length, 0)
  }

  ip(protocol: number, source: number, destination: number, payload: number, id = 1, fragment = 0): void {
    this.put16(12, 0x800)
    this.put16(IP, 0x4500)
    this.put16(IP + 4, id)
    this.put16(IP + 6, fragment)
    this.put16(IP + 8, (64 << 8) | protocol)
    this.put32(IP + 12, source)
    this.put32(IP + 16, destination)
    this.length = TRANSPORT + payload
  }

  /** A segment without options; `payload` bytes of whatever the buffer holds. */
  tcp(source: number, sport: number, dport: number, seq: number, ack: number, flags: number, window = 65535, payload = 0): void {
    this.ip(6, source, TARGET, 20 + payload)
    this.put16(TRANSPORT, sport)
    this.put16(TRANSPORT + 2, dport)
    this.put32(TRANSPORT + 4, seq)
    this.put32(TRANSPORT + 8, ack)
    this.put8(TRANSPORT + 12, 0x50)
    this.put8(TRANSPORT + 13, flags)
    this.put16(TRANSPORT + 14, window)
    this.put16(TRANSPORT + 18, 0)
  }

  /** Options behind the TCP header: a multiple of four, before any payload. */
  tcpOptions(...options: number[]): void {
    for (let i = 0; i < options.length; i++) this.put8(TRANSPORT + 20 + i, options[i])
    this.put8(TRANSPORT + 12, (5 + options.length / 4) << 4)
    this.length += options.length
  }

  udp(source: number, sport: number, dport: number, payload: number): void {
    this.ip(17, source, TARGET, 8 + payload)
    this.put16(TRANSPORT, sport)
    this.put16(TRANSPORT + 2, dport)
  }

  arp(operation: number, macLow: number, sender: number, target: number, toUs = true): void {
    this.put16(0, 0x0200)
    this.put32(2, 2)
    this.put32(8, macLow)
    this.put16(12, 0x806)
    this.put32(14, 0x00010800)
    this.put32(18, 0x06040000 | operation)
    this.put16(22, 0x0200)
    this.put32(24, macLow)
    this.put32(28, sender)
    this.put16(32, toUs ? 0x0200 : 0)
    this.put32(34, toUs ? 2 : 0)
    this.put32(38, target)
    this.length = 42
  }
}
