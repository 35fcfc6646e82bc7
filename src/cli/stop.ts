/** SIGINT and SIGTERM as an AbortSignal: the first asks for a clean end, the second does not wait for it. */
import type { NetIf } from '../netif/netif.ts'
import { Interrupted } from './command.ts'

const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const

export function stopSignal(): AbortSignal {
  const controller = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(EXIT_CODES[signal])
      controller.abort()
    })
  }
  return controller.signal
}

/** A link that is being opened, unless the signal comes first: that rejects with Interrupted, and a link that opens after all is closed. */
export function unlessStopped(opening: Promise<NetIf>, stop: AbortSignal): Promise<NetIf> {
  return new Promise((resolve, reject) => {
    let isStopped = false
    const stopped = (): void => {
      isStopped = true
      reject(new Interrupted('interrupted while a link was opened'))
    }
    stop.addEventListener('abort', stopped, { once: true })
    if (stop.aborted) stopped()
    opening
      .then((link) => {
        if (isStopped) void link.close()
        else resolve(link)
      }, reject)
      .finally(() => stop.removeEventListener('abort', stopped))
  })
}
