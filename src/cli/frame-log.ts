/** The same link, and every frame in and out of it as one line of text. */
import { LinkAround } from '../netif/around.ts'
import type { NetIf, NetIfSink } from '../netif/netif.ts'
import { dissect } from '../trace/dissect.ts'

class FrameLog extends LinkAround {
  private startUs = 0

  constructor(
    inner: NetIf,
    private readonly line: (text: string) => void,
    private readonly label: string,
  ) {
    super(inner)
  }

  override attach(sink: NetIfSink): void {
    this.startUs = sink.host.us()
    super.attach(sink)
  }

  override send(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    // The link below may scribble over what it takes: look first.
    const text = dissect(buf, start, end, this.medium, meta)
    const taken = super.send(buf, start, end, meta)
    if (taken) this.say('>', text)
    return taken
  }

  override input(buf: Uint8Array, start: number, end: number, meta: number): void {
    this.say('<', dissect(buf, start, end, this.medium, meta))
    super.input(buf, start, end, meta)
  }

  private say(direction: string, text: string): void {
    const us = (this.host.us() - this.startUs) >>> 0
    this.line(`${(us / 1e6).toFixed(6).padStart(11)} ${this.label}${direction} ${text}`)
  }
}

/** Frames out are marked `>`, frames in `<`; `label` stands before the mark. */
export function frameLog(link: NetIf, line: (text: string) => void, label = ''): NetIf {
  return new FrameLog(link, line, label)
}
