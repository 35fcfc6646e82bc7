/**
 * A process that holds a link: `hold-tap.ts URL WHAT`. Prints the link's name when it is open, then does WHAT:
 * `wait` (ref'd, for ever), `idle` (nothing: ends by itself), `throw` (an uncaught exception), `exit` (process.exit without closing),
 * `close` (closes a ref'd link: ends by itself), `child` (starts a child that outlives it, then as `wait`), `worker` (as `idle`, in a
 * worker thread), `fail` (prints the code and the message of the error).
 */
import { spawn } from 'node:child_process'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { openLink } from '../../../src/backend/open-link.ts'
import type { NetIf, NetIfSink } from '../../../src/netif/netif.ts'
import { NodeHost } from '../../../src/node/host.ts'

const [url, what] = isMainThread ? process.argv.slice(2) : (workerData as string[])

async function main(): Promise<void> {
  if (what === 'worker' && isMainThread) {
    // Worker threads of Node 20 do not inherit what tsx hooks into the main thread.
    const code = `import('tsx/esm/api').then((tsx) => (tsx.register(), import(${JSON.stringify(import.meta.url)})))`
    const worker = new Worker(code, { eval: true, workerData: [url, what], execArgv: [] })
    worker.on('message', (text: string) => console.log(text))
    return
  }
  const link: NetIf = await openLink(url)
  const sink: NetIfSink = {
    host: new NodeHost(),
    input: () => {},
    readable: () => void link.receive(64),
    writable: () => {},
    closed: () => {},
  }
  link.attach(sink)
  if (isMainThread) console.log(link.name)
  else parentPort?.postMessage(`${link.name} ${link.describe?.() ?? ''}`)
  if (what === 'wait' || what === 'child') link.ref?.(true)
  if (what === 'child') console.log(spawn('sleep', ['60'], { stdio: 'ignore', detached: true }).pid)
  if (what === 'throw') {
    link.ref?.(true)
    setImmediate(() => {
      throw new Error('on purpose')
    })
  }
  if (what === 'exit') {
    link.ref?.(true)
    setImmediate(() => process.exit(3))
  }
  if (what === 'close') {
    link.ref?.(true)
    await link.close()
  }
}

main().catch((error: { code: string; message: string }) => {
  console.log(`${error.code}\n${error.message}`)
  process.exitCode = 4
})
