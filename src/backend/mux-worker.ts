/**
 * Clients of a multiplexer in worker threads. Frames go through two rings of shared memory (mux/ring.ts); everything else, the bell included, is
 * messages of a MessagePort.
 *
 * Why a port and no `Atomics.waitAsync`: both wake a thread in the same time (measured: 19 us for there and back), and a port also knows
 * that the other thread is gone, whatever it died of, and whether it keeps its process alive.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { muxConfig } from '../base/mux-config.ts'
import { parseMac } from '../ethernet/mac.ts'
import { splice } from '../link/splice.ts'
import type { MuxClient } from '../mux/client.ts'
import type { MuxSwitches } from '../mux/filter.ts'
import type { Mux } from '../mux/mux.ts'
import { obey, RemoteControls, type RemoteMuxClient, type RemoteOpenOptions, type Welcome, welcomeOf } from '../mux/remote.ts'
import { ringMemory } from '../mux/ring.ts'
import { type Bell, RingLink, type RingPlan } from '../mux/ring-link.ts'

/** What a worker needs to be a client: give it as `workerData` or in a message, with `port` in the transfer list. */
export interface MuxTicket {
  readonly plan: RingPlan
  readonly welcome: Welcome
  readonly port: MessagePort
}

/** The word that is a bell. */
const BELL = 0

/** Rings at the other end of the port, and hears what comes from there. */
class PortBell implements Bell {
  constructor(private readonly port: MessagePort) {
    port.unref()
  }

  listen(link: RingLink, said: (message: unknown) => void): void {
    this.port.on('message', (message: unknown) => {
      if (message === BELL) link.rung()
      else said(message)
    })
    this.port.on('close', () => link.peerGone())
    this.port.unref() // listening has ref'd it
  }

  ring(): void {
    this.port.postMessage(BELL)
  }

  post(message: object): void {
    this.port.postMessage(message)
  }

  close(): void {
    this.port.close()
  }

  ref(on: boolean): void {
    if (on) this.port.ref()
    else this.port.unref()
  }
}

/**
 * Opens a client of `mux` for a worker. When the worker ends, or closes its link, the client is closed. Throws what `mux.open` throws.
 *
 *   const { ticket } = shareMux(mux)
 *   new Worker(file, { workerData: ticket, transferList: [ticket.port] })   // there: openSharedMux(workerData)
 */
export function shareMux(mux: Mux, options: RemoteOpenOptions = {}): { ticket: MuxTicket; client: MuxClient } {
  const client = mux.open(options)
  const { ringBytes } = muxConfig
  const { name, mac, mtu, offload, gsoMax } = client
  const plan = { memory: new SharedArrayBuffer(2 * ringMemory(ringBytes)), ringBytes, name, mac, mtu, offload, gsoMax }
  const { port1, port2 } = new MessageChannel()
  const bell = new PortBell(port1)
  const link = new RingLink(plan, 0, bell)
  bell.listen(link, (message) => {
    const answer = obey(client, message)
    if (answer !== null) bell.post(answer)
  })
  splice(link, client, mux.host)
  return { ticket: { plan, welcome: welcomeOf(mux, client), port: port2 }, client }
}

class WorkerClient extends RingLink implements RemoteMuxClient {
  override readonly mac: Uint8Array
  readonly server: string
  readonly device: string
  readonly channel: number
  readonly macRule: string
  private readonly controls: RemoteControls

  constructor({ plan, welcome, port }: MuxTicket) {
    const bell = new PortBell(port)
    super(plan, 1, bell)
    this.mac = parseMac(welcome.mac)
    this.server = welcome.server
    this.device = welcome.device
    this.channel = welcome.channel
    this.macRule = welcome.macRule
    this.controls = new RemoteControls(
      welcome,
      (message) => {
        bell.post(message)
        return true
      },
      (on) => super.ref(on),
    )
    bell.listen(this, (message) => this.controls.heard(message))
  }

  get filter(): Required<MuxSwitches> {
    return this.controls.filter
  }

  setFilter(changes: MuxSwitches): void {
    this.controls.setFilter(changes)
  }

  remoteCounters(): Promise<Record<string, number>> {
    return this.controls.counters()
  }

  override ref(on: boolean): void {
    this.controls.ref(on)
  }

  override close(): void {
    super.close()
    this.controls.ended()
  }
}

/** In the worker: the client that the ticket is for, as a link. */
export function openSharedMux(ticket: MuxTicket): RemoteMuxClient {
  return new WorkerClient(ticket)
}
