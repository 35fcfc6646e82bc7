/**
 * `v86Link(emulator)`: the network card of a PC that v86 emulates in this program, in a page or in Node.
 *
 *   const emulator = new V86({ ..., net_device: { type: 'virtio' } })     // no relay_url
 *   stack.attach(v86Link(emulator), { addresses: ['10.0.0.1/24'] })
 *
 * Theory of operation. What the card sends is an event of the emulator, `net0-send`, with the frame as a `Uint8Array`; what it is to receive is sent on the
 * emulator's bus as `net0-receive`. Both happen within the call. A card has little memory (an NE2000 eight frames) and loses the rest without
 * a word, so few frames are given to it before the emulator has had its turn. The emulator is not ours: closing the link takes
 * our listener away and no more, and the emulator's end is not told to us.
 */
import { invalidArgument, NetError } from '../base/errors.ts'
import { LINK_DEFAULTS } from '../base/link-config.ts'
import type { NetIf } from '../netif/netif.ts'
import { type MessageCarrier, MessageLink, type MessageLinkOptions, type MessageTaker } from './message-link.ts'

/** What is used of v86's `V86`. */
export interface V86Like {
  add_listener(event: string, listener: (frame: unknown) => void): void
  remove_listener(event: string, listener: (frame: unknown) => void): void
  /** v86 declares no type for it, and has it all the same. */
  readonly bus?: { send(event: string, data?: unknown): void }
}

/** Which card of an emulator is the other end. */
export interface V86LinkOptions extends MessageLinkOptions {
  /** Which card: `net_device.id`. 0 when left out. */
  id?: number
}

class BusCarrier implements MessageCarrier {
  readonly isOver = false
  readonly text: string
  private taker: MessageTaker | null = null
  private readonly frame = (frame: unknown): void => this.taker?.message(frame)

  constructor(
    private readonly emulator: V86Like,
    private readonly bus: NonNullable<V86Like['bus']>,
    private readonly card: string,
  ) {
    this.text = `the card ${card} of a v86`
  }

  start(taker: MessageTaker): void {
    this.taker = taker
    this.emulator.add_listener(`${this.card}-send`, this.frame)
  }

  post(frame: Uint8Array): Error | null {
    try {
      this.bus.send(`${this.card}-receive`, frame)
      return null
    } catch (cause) {
      // A card that is not set up yet, or an emulator that was destroyed: the frame is lost, and counted.
      return new NetError('EIO', { syscall: 'send', message: `${this.text} did not take a frame`, cause })
    }
  }

  close(): void {
    if (this.taker !== null) this.emulator.remove_listener(`${this.card}-send`, this.frame)
    this.taker = null
  }
}

/**
 * A link to the card of an emulator. At most 8 frames are sent in a millisecond (`burstFrames`).
 * @throws NetError ERR_INVALID_ARG_VALUE, for what is no V86 as well.
 */
export function v86Link(emulator: V86Like, options: V86LinkOptions = {}): NetIf {
  const { id = 0 } = options
  if (!Number.isInteger(id) || id < 0) throw invalidArgument(`Invalid id ${id} of a card: a whole number expected`)
  if (typeof emulator?.add_listener !== 'function' || typeof emulator.bus?.send !== 'function') {
    throw invalidArgument('A V86 of the package v86 is expected')
  }
  const card = `net${id}`
  return new MessageLink(new BusCarrier(emulator, emulator.bus, card), `v86:${card}`, LINK_DEFAULTS.emulatorBurstFrames, options)
}
