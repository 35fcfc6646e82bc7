/** One workload of bench/mux.ts: `muxing.js wire.small 2` prints how many frames a second came through. */
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import {
  createMux,
  createPipe,
  type MuxTicket,
  type NetIf,
  type NetIfSink,
  nodeHost,
  openMux,
  openSharedMux,
  serveMux,
  shareMux,
} from 'tapstack'
import { CSUM_PARTIAL, frameMeta, GSO_TCP4 } from '../src/netif/netif.ts'
import { VirtualHost } from '../src/sim/virtual-host.ts'
import { tcpFrame } from '../test/support/frames.ts'

const SMALL = 64
const SUPER = 64_000
const START = 64
const BATCH = 64

/** A frame to `mac` in a buffer with headroom: 64 bytes, or a super-segment. */
function frameTo(mac: Uint8Array, size: string): { buf: Uint8Array; meta: number } {
  const length = size === 'small' ? SMALL : SUPER
  const { bytes } = tcpFrame({ payload: new Uint8Array(length - 54) })
  bytes.set(mac)
  const buf = new Uint8Array(START + length)
  buf.set(bytes, START)
  return { buf, meta: size === 'small' ? 0 : frameMeta(CSUM_PARTIAL, GSO_TCP4, 1448) }
}

/** Takes whatever comes and counts it. */
class Counter implements NetIfSink {
  frames = 0
  private isScheduled = false

  constructor(
    readonly link: NetIf,
    readonly host: NetIfSink['host'],
  ) {
    link.attach(this)
  }

  input(): void {
    this.frames++
  }
  readable(): void {
    if (this.isScheduled) return
    this.isScheduled = true
    this.host.soon(this)
  }
  run(): void {
    this.isScheduled = false
    if (this.link.receive(BATCH)) this.readable()
  }
  writable(): void {}
  closed(): void {}
}

function print(frames: number, seconds: number, bytes: number): void {
  const per_second = frames / seconds
  const us = 1e6 / per_second
  console.log(JSON.stringify({ us, us_with_links: us, per_second, gbit_s: (per_second * bytes * 8) / 1e9 }))
}

/** In one thread: from the wire to a client, or from one client to another. */
function inMemory(way: string, size: string, seconds: number): void {
  const host = new VirtualHost()
  const [card, wire] = createPipe()
  const mux = createMux(card, { host })
  const to = mux.open()
  const from = way === 'wire' ? wire : mux.open()
  const counter = new Counter(to, host)
  if (way !== 'wire') new Counter(wire, host)
  from.attach(new Counter(createPipe()[0], host))
  const { buf, meta } = frameTo(to.mac, size)
  const batch = size === 'small' ? BATCH : 4
  let began = performance.now()
  for (let warm = true; ; ) {
    for (let rounds = 0; rounds < 200; rounds++) {
      for (let i = 0; i < batch; i++) from.send(buf, START, buf.length, meta)
      host.run()
    }
    const elapsed = (performance.now() - began) / 1000
    if (warm && elapsed > 0.3) {
      warm = false
      counter.frames = 0
      began = performance.now()
    } else if (!warm && elapsed > seconds) {
      print(counter.frames, elapsed, buf.length - START)
      return
    }
  }
}

/** From another thread, as fast as it is let, out to the wire. */
async function fromAfar(way: string, size: string, seconds: number): Promise<void> {
  const [card, wire] = createPipe()
  const mux = createMux(card)
  const counter = new Counter(wire, nodeHost)
  const path = join(tmpdir(), `tapstack-bench-${process.pid}.sock`)
  const ticket = way === 'worker' ? shareMux(mux).ticket : null
  if (ticket === null) await serveMux(mux, { path })
  const worker = new Worker(fileURLToPath(import.meta.url), {
    workerData: { ticket, path, size },
    transferList: ticket === null ? [] : [ticket.port],
  })
  while (counter.frames < 1000) await new Promise(setImmediate)
  counter.frames = 0
  const began = performance.now()
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
  print(counter.frames, (performance.now() - began) / 1000, size === 'small' ? SMALL : SUPER)
  await worker.terminate()
  rmSync(path, { force: true })
  process.exit(0)
}

/** The other thread. */
async function send({ ticket, path, size }: { ticket: MuxTicket | null; path: string; size: string }): Promise<void> {
  const link = ticket === null ? await openMux({ path }) : openSharedMux(ticket)
  const { buf, meta } = frameTo(Uint8Array.of(2, 0, 0, 0, 0, 9), size)
  const pump = {
    run(): void {
      for (let i = 0; i < 1024; i++) {
        if (link.send(buf, START, buf.length, meta)) continue
        link.flush()
        return // writable will come
      }
      link.flush()
      setImmediate(() => pump.run())
    },
  }
  link.attach({ host: nodeHost, input() {}, readable() {}, writable: () => pump.run(), closed: () => process.exit() })
  link.ref?.(true)
  pump.run()
}

if (isMainThread) {
  const [workload, seconds] = process.argv.slice(2)
  const [way, size] = workload.split('.')
  if (way === 'wire' || way === 'inside') inMemory(way, size, Number(seconds))
  else await fromAfar(way, size, Number(seconds))
} else await send(workerData)
