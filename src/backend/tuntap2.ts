/**
 * The taps of the package `tuntap2`, for those who have it: Linux, an interface whose name the package picks, one frame in each chunk of a Duplex.
 *
 *   import { Tap } from 'tuntap2'
 *   const tap = new Tap()
 *   tap.mtu = 1500; tap.ipv4 = '10.0.0.1/24'; tap.isUp = true
 *   stack.attach(await openTuntap2(tap), { addresses: ['10.0.0.2/24'] })
 *
 * `tuntap2:?host=10.0.0.1/24` does that. Our own `tap://` is ten times as fast and has offloads: this one is for programs that
 * have such a tap already. What a `Tap` reads and writes are bare Ethernet frames. Reading is left to the package, whose descriptor keeps the process
 * alive as it does by itself; closing the link releases the tap.
 */
import type { Duplex } from 'node:stream'
import { invalidArgument, NetError } from '../base/errors.ts'
import { LINK_DEFAULTS } from '../base/link-config.ts'
import { U32BE } from '../link/framing.ts'
import { FramedMessages } from './framed-messages.ts'
import { checkOptions, type LinkUrl, numberOption } from './link-url.ts'
import { type Carrier, StreamLink } from './stream-link.ts'

/** What is used of the package's `Tap`. */
export interface Tuntap2 extends Duplex {
  readonly name: string
  mac: string
  mtu: number
  ipv4: string
  ipv6: string
  isUp: boolean
  /** Gives the interface back. */
  release(): unknown
}

/** The tap as a stream of frames behind their lengths. */
class TapMessages extends FramedMessages {
  private released = false

  constructor(private readonly tap: Tuntap2) {
    super()
    tap.on('data', (frame: Uint8Array) => this.message(frame))
    tap.on('end', () => this.over())
    tap.on('close', () => this.over())
    tap.on('error', (error) => this.over(error))
  }

  protected post(frame: Uint8Array, taken: (error?: Error | null) => void): void {
    // A refused frame (the interface is down) is lost as on a wire; a tap that is broken says so by 'error'.
    this.tap.write(Buffer.from(frame.buffer, frame.byteOffset, frame.length), () => taken())
  }

  protected hold(on: boolean): void {
    if (on) this.tap.pause()
    else this.tap.resume()
  }

  protected finish(done: () => void): void {
    done()
  }

  protected cut(): void {
    if (this.released) return
    this.released = true
    this.tap.release()
  }
}

/** A link over a `Tap` of the package tuntap2, which belongs to the link from now on. @throws NetError ERR_INVALID_ARG_VALUE. */
export function openTuntap2(tap: Tuntap2): StreamLink {
  if (typeof tap?.write !== 'function' || typeof tap.release !== 'function') {
    throw invalidArgument('A Tap of the package tuntap2 is expected')
  }
  const carrier: Carrier = {
    text: `tuntap2${tap.isUp ? '' : ' (down)'}`,
    start: () => undefined,
    ended: () => false,
    close: () => undefined,
  }
  const link = new StreamLink({ name: tap.name, framing: U32BE, mtu: tap.mtu || LINK_DEFAULTS.mtuBytes, carrier })
  link.use(new TapMessages(tap))
  return link
}

/** Opens a tap of the package by `tuntap2:?host=10.0.0.1/24,fd00::1/64&mtu=1500&mac=...`. @throws NetError ERR_TUNTAP2_UNAVAILABLE, and what the package says. */
export async function openTuntap2Url(url: LinkUrl, load = loadTuntap2): Promise<StreamLink> {
  checkOptions(url, ['host', 'mtu', 'mac'])
  if (url.target !== '') throw invalidArgument(`Invalid link ${url.text}: the package tuntap2 names its interface itself`)
  const mtu = numberOption(url, 'mtu')
  const Tap = await load()
  const tap = new Tap()
  try {
    const mac = url.options.get('mac')
    if (mac !== undefined) tap.mac = mac
    if (mtu !== undefined) tap.mtu = mtu
    for (const address of url.options.get('host')?.split(',') ?? []) {
      if (address.includes(':')) tap.ipv6 = address
      else tap.ipv4 = address
    }
    tap.isUp = true
    return openTuntap2(tap)
  } catch (error) {
    tap.release()
    throw error
  }
}

async function loadTuntap2(): Promise<new () => Tuntap2> {
  // Not a literal: the package is not there for the compiler, nor for most.
  const name = 'tuntap2'
  try {
    return ((await import(name)) as { Tap: new () => Tuntap2 }).Tap
  } catch (cause) {
    throw new NetError('ERR_TUNTAP2_UNAVAILABLE', {
      message: 'The package tuntap2 cannot be loaded: `npm install tuntap2`, or take tap://, which needs it not',
      cause,
    })
  }
}
