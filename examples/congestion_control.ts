// A congestion control of one's own: TCP Westwood (Mascolo and others, 2001) in a few lines, in the simulator beside CUBIC.
//   npx tsx examples/congestion_control.ts [--rate 50] [--rtt 40] [--seconds 20]
// It grows like Reno, but falls to what the path delivered instead of to a half: a loss by accident costs it little.
import { parseArgs } from 'node:util'
import type { AckSample, CongestionChoice, CongestionControl, CongestionWindow } from 'tapstack/core'
import { decayIdle, initialWindow } from 'tapstack/core'
import { createWorld } from 'tapstack/sim'

export class Westwood implements CongestionControl {
  readonly name = 'westwood'
  /** Bytes per second that arrived, smoothed; and the shortest round trip. */
  private bandwidth = 0
  private minRttUs = 0
  private counted = 0

  start(w: CongestionWindow, initialWindowSegments: number): void {
    w.cwnd = initialWindow(w.mss, initialWindowSegments)
  }

  /** The window was in use and all is well: a segment for each in slow start, one for each window afterwards. */
  acked(w: CongestionWindow, s: AckSample): void {
    if (s.rate.intervalUs > 0 && !s.rate.isAppLimited) {
      this.bandwidth += (s.rate.bytesPerSecond - this.bandwidth) / (this.bandwidth === 0 ? 1 : 8)
    }
    this.minRttUs = s.minRttUs
    if (w.cwnd < w.ssthresh) {
      w.cwnd += s.delivered
      return
    }
    this.counted += s.delivered
    if (this.counted < w.cwnd) return
    this.counted -= w.cwnd
    w.cwnd += w.mss
  }

  /** Recovery leads the window to ssthresh. */
  loss(w: CongestionWindow): void {
    w.ssthresh = this.delivered(w)
    w.cwnd = Math.min(w.cwnd, w.ssthresh)
  }

  timeout(w: CongestionWindow, _inFlight: number, first: boolean): void {
    if (first) w.ssthresh = this.delivered(w)
    w.cwnd = w.mss
  }

  recovered(w: CongestionWindow): void {
    w.cwnd = Math.min(w.cwnd, w.ssthresh)
  }

  idle(w: CongestionWindow, initialWindowSegments: number, idleMs: number, rtoMs: number): void {
    decayIdle(w, initialWindowSegments, idleMs, rtoMs)
  }

  /** What the path carries without a queue, in whole bytes: two segments at least. */
  private delivered(w: CongestionWindow): number {
    return Math.max(2 * w.mss, Math.floor((this.bandwidth * this.minRttUs) / 1e6))
  }
}

export interface Path {
  /** Megabits per second; round-trip time in ms; probability that a frame is lost. */
  rate: number
  rtt: number
  loss: number
}

/** Megabits per second that one connection gets through, in so many seconds of virtual time. */
export function goodput(congestion: CongestionChoice, path: Path, seconds: number): number {
  const world = createWorld({ seed: 1 })
  const [a, b] = [world.stack(), world.stack()]
  const { rate, rtt, loss } = path
  world.link(a, b, { delay: rtt / 2, send: { rate: rate * 1e6, queue: rate * rtt * 125, delay: rtt / 2, loss } })
  let received = 0
  b.tcp.listen({ port: 9 }, { onConnection: (c) => (c.handler = { onReadable: (r) => (received += r.skip(r.readable)) }) })
  const chunk = new Uint8Array(65536)
  const onWritable = (c: { write(buf: Uint8Array, off: number, len: number): number }): void => {
    while (c.write(chunk, 0, chunk.length) > 0);
  }
  a.tcp.open({ remoteAddress: '10.0.0.2', remotePort: 9, congestion }, { onConnect: onWritable, onWritable })
  world.run(seconds * 1000)
  return (received * 8) / seconds / 1e6
}

if (process.argv[1]?.endsWith('congestion_control.ts')) {
  const { values } = parseArgs({
    options: {
      rate: { type: 'string', default: '50' },
      rtt: { type: 'string', default: '40' },
      seconds: { type: 'string', default: '20' },
    },
  })
  const [rate, rtt, seconds] = [Number(values.rate), Number(values.rtt), Number(values.seconds)]
  console.log(`Mbit/s on a line of ${rate} Mbit/s, ${rtt} ms, 1 BDP of queue\nloss %   westwood  cubic    bbr`)
  for (const loss of [0, 0.0001, 0.001, 0.01]) {
    const of = (choice: CongestionChoice): string => goodput(choice, { rate, rtt, loss }, seconds).toFixed(1).padEnd(9)
    console.log(`${String(loss * 100).padEnd(9)}${of(() => new Westwood())}${of('cubic')}${of('bbr')}`)
  }
}
