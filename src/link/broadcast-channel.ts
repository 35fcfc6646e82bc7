/**
 * `broadcastChannelLink(channel)`: an Ethernet whose cable is a `BroadcastChannel`, so between tabs, frames and workers of one origin, or between threads of
 * Node. All who have the channel's name are on it, as on a hub; nobody hears themselves. Each message is one frame, a `Uint8Array` without padding
 * or checksum: what v86 calls `inbrowser` (`net_device: { relay_url: 'inbrowser', id: 0 }`, whose channel is named `v86-inbrowser-0`).
 *
 * A `MessagePort` does as well, with one at the other end; its end is the link's.
 */
import { NetError } from '../base/errors.ts'
import { LINK_DEFAULTS } from '../base/link-config.ts'
import type { NetIf } from '../netif/netif.ts'
import { type MessageCarrier, MessageLink, type MessageLinkOptions, type MessageTaker } from './message-link.ts'

/** What is used of a `BroadcastChannel`, of browsers or of Node, or of a `MessagePort`. */
export interface BroadcastChannelLike {
  /** The channel's name, where it has one. */
  readonly name?: string
  postMessage(message: unknown): void
  addEventListener(type: string, listener: (event: unknown) => void): void
  removeEventListener(type: string, listener: (event: unknown) => void): void
  close(): void
  /** Of a `MessagePort`. */
  start?(): void
  /** Of Node. */
  ref?(): unknown
  unref?(): unknown
}

class ChannelCarrier implements MessageCarrier {
  readonly text: string
  isOver = false
  private taker: MessageTaker | null = null
  private readonly message = (event: unknown): void => this.taker?.message((event as { readonly data: unknown }).data)
  private readonly messageError = (): void => this.taker?.unreadable()
  private readonly ended = (): void => this.taker?.ended()

  constructor(private readonly channel: BroadcastChannelLike) {
    this.text = `messages of ${channel.name === undefined ? 'a port' : `the channel ${channel.name}`}`
    channel.unref?.()
  }

  start(taker: MessageTaker): void {
    const { channel } = this
    this.taker = taker
    channel.addEventListener('message', this.message)
    channel.addEventListener('messageerror', this.messageError)
    channel.addEventListener('close', this.ended)
    channel.start?.()
    // Listening keeps a process alive where there is one.
    channel.unref?.()
  }

  post(frame: Uint8Array): Error | null {
    try {
      this.channel.postMessage(frame)
      return null
    } catch (cause) {
      // Bytes can always be cloned: it was closed by somebody else.
      this.isOver = true
      return new NetError('EBADF', {
        syscall: 'send',
        message: `The ${this.text.slice('messages of the '.length)} was closed`,
        cause,
      })
    }
  }

  close(): void {
    const { channel } = this
    this.isOver = true
    this.taker = null
    channel.removeEventListener('message', this.message)
    channel.removeEventListener('messageerror', this.messageError)
    channel.removeEventListener('close', this.ended)
    channel.close()
  }

  ref(on: boolean): void {
    if (on) this.channel.ref?.()
    else this.channel.unref?.()
  }
}

/**
 * A link over a channel, which belongs to the link from now on. At most 256 frames leave in a millisecond (`burstFrames`): with guests on an NE2000 card
 * 8 are better, which is what that card holds.
 * @throws NetError ERR_INVALID_ARG_VALUE.
 */
export function broadcastChannelLink(channel: BroadcastChannelLike, options: MessageLinkOptions = {}): NetIf {
  return new MessageLink(
    new ChannelCarrier(channel),
    `channel:${channel.name ?? 'port'}`,
    LINK_DEFAULTS.messageBurstFrames,
    options,
  )
}
