/** How far something long has come, in one line of a terminal that changes twice a second. */
import type { Host, Task, TimerHandle } from '../base/clock.ts'

const EVERY_MS = 500

export class Progress implements Task {
  bytes = 0
  private total = Number.NaN
  private startMs = 0
  private timer: TimerHandle = null

  /** Without `show` nothing is shown: there is no terminal. */
  constructor(
    private readonly host: Host,
    private readonly show: ((text: string) => void) | undefined,
  ) {}

  /** `total` bytes are expected; NaN: nobody knows how many. */
  begin(total: number): void {
    this.total = total
    this.startMs = this.host.ms()
    if (this.show !== undefined) this.timer = this.host.after(EVERY_MS, this)
  }

  add(bytes: number): void {
    this.bytes += bytes
  }

  run(): void {
    this.show?.(progressText(this.bytes, this.total, (this.host.ms() - this.startMs) | 0))
    this.timer = this.host.after(EVERY_MS, this)
  }

  end(): void {
    if (this.timer === null) return
    this.host.cancel(this.timer)
    this.timer = null
    this.show?.('')
  }
}

/** ` 42 %  1.3 MB of 3.1 MB  812 kB/s  3 s left`; without a total only what there is. */
export function progressText(bytes: number, total: number, ms: number): string {
  const rate = ms <= 0 ? 0 : (bytes * 1000) / ms
  if (!(total >= 0)) return `${bytesText(bytes)}  ${bytesText(rate)}/s`
  const part = total === 0 ? 100 : Math.floor((100 * bytes) / total)
  const left = rate === 0 ? '' : `  ${Math.ceil((total - bytes) / rate)} s left`
  return `${String(part).padStart(3)} %  ${bytesText(bytes)} of ${bytesText(total)}  ${bytesText(rate)}/s${left}`
}

const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB']

/** Three digits: `1.23 MB`, `12.3 MB`, `123 MB`. */
export function bytesText(n: number): string {
  let value = n
  let unit = 0
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000
    unit++
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2
  return `${value.toFixed(digits)} ${UNITS[unit]}`
}
