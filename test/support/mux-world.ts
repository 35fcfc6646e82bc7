/** A multiplexer on one end of a pipe, on virtual time, with someone who records at the other end, and frames by destination. */
import { parseMac } from '../../src/ethernet/mac.ts'
import { createPipe, type PipeOptions } from '../../src/link/pipe.ts'
import type { MuxClient } from '../../src/mux/client.ts'
import { Mux, type MuxOpenOptions, type MuxOptions } from '../../src/mux/mux.ts'
import type { NetIf } from '../../src/netif/netif.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { plainFrame } from './frames.ts'
import { RecordingSink } from './recording-sink.ts'

export const DEVICE_MAC = '52:54:00:12:34:56'
export const EVERYBODY = 'ff:ff:ff:ff:ff:ff'

/** An attached link and what came to it. */
export class Ear<Link extends NetIf = NetIf> {
  readonly sink: RecordingSink

  constructor(
    readonly link: Link,
    host: VirtualHost,
  ) {
    this.sink = new RecordingSink(host)
    link.attach(this.sink)
  }

  send(bytes: Uint8Array, meta = 0): boolean {
    const buf = new Uint8Array(64 + bytes.length)
    buf.set(bytes, 64)
    return this.link.send(buf, 64, buf.length, meta)
  }

  /** Takes all that waits; the lengths of the frames since the last look. */
  heard(): number[] {
    this.sink.receiving = true
    while (this.link.receive(64));
    this.sink.receiving = false
    return this.sink.frames.splice(0).map((frame) => frame.length)
  }
}

export class MuxWorld {
  readonly host = new VirtualHost()
  readonly mux: Mux
  /** The other end of the device's cable. */
  readonly wire: Ear
  readonly told: string[] = []

  constructor(options: MuxOptions & { pipe?: PipeOptions } = {}) {
    const { pipe, ...rest } = options
    const [link, far] = createPipe({ names: ['card', 'wire'], ...pipe })
    this.mux = new Mux({ host: this.host, random: this.host.random }, link, { mac: DEVICE_MAC, ...rest })
    this.mux.onOpened = (client) => this.told.push(`opened ${client.name}`)
    this.mux.onGone = (client, error) => this.told.push(`gone ${client.name}${error === null ? '' : `: ${error.message}`}`)
    this.wire = new Ear(far, this.host)
  }

  open(options?: MuxOpenOptions): Ear<MuxClient> {
    return new Ear(this.mux.open(options), this.host)
  }

  /** A frame of `length` bytes to an address. */
  frame(to: string | Uint8Array | null, length: number): Uint8Array {
    const bytes = plainFrame('ethernet', length, length)
    bytes.set(typeof to === 'string' ? parseMac(to) : to!)
    return bytes
  }

  /** From the wire: frames arrive and are distributed. */
  arrive(to: string | Uint8Array, length: number): void {
    this.wire.send(this.frame(to, length))
    this.host.run()
  }
}
