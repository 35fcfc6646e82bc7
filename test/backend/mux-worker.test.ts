import { once } from 'node:events'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import { type MuxTicket, openSharedMux, shareMux } from '../../src/backend/mux-worker.ts'
import { createPipe } from '../../src/link/pipe.ts'
import { nodeHost } from '../../src/node/host.ts'
import { createMux } from '../../src/node/mux.ts'
import { createStack } from '../../src/node/stack.ts'
import { netifConformance } from '../support/netif-conformance.ts'
import { RecordingSink } from '../support/recording-sink.ts'

/** Messages of ports and tasks of the host take a few rounds of the event loop. */
async function settle(): Promise<void> {
  for (let i = 0; i < 8; i++) await new Promise((resolve) => setImmediate(resolve))
}

function muxed() {
  const [link, wire] = createPipe()
  return { mux: createMux(link), wire }
}

netifConformance('client of a multiplexer over shared memory', () => {
  const { mux, wire } = muxed()
  const { ticket } = shareMux(mux, { filter: { promiscuous: true } })
  return { a: openSharedMux(ticket), b: wire, host: nodeHost, settle, close: () => mux.close() }
})

netifConformance(
  'client of a multiplexer over shared memory, hearing another without offload',
  () => {
    const { mux } = muxed()
    const { ticket } = shareMux(mux, { filter: { promiscuous: true } })
    const a = mux.open({ filter: { promiscuous: true }, offload: false })
    return { a, b: openSharedMux(ticket), host: nodeHost, settle, close: () => mux.close() }
  },
  { refuses: false },
)

describe('a client in a worker', () => {
  const tsx = JSON.stringify(pathToFileURL(createRequire(import.meta.url).resolve('tsx/esm/api')).href.replace(/cjs$/, 'mjs'))
  // These alone: the worker reads its files anew, and the whole house takes a second.
  const [stacks, muxes] = ['node/stack.ts', 'backend/mux-worker.ts'].map((file) =>
    JSON.stringify(new URL(`../../src/${file}`, import.meta.url).href),
  )

  /** Runs `body` in a worker that has `createStack`, `openSharedMux` and `ticket`. */
  function work(body: string, ticket: MuxTicket): Worker {
    const program = `import(${tsx}).then(async ({ register }) => {
        register()
        const { createStack } = await import(${stacks})
        const { openSharedMux } = await import(${muxes})
        const ticket = require('node:worker_threads').workerData
        ${body}
      })`
    return new Worker(program, { eval: true, workerData: ticket, transferList: [ticket.port] })
  }

  it('is a stack of its own; when the worker dies its address is given back', async () => {
    const { mux } = muxed()
    const gone: string[] = []
    mux.onGone = (client) => gone.push(client.name)
    const { ticket, client } = shareMux(mux, { mac: 'device' })
    const worker = work(
      `const stack = createStack()
       const link = openSharedMux(ticket)
       const eth0 = stack.attach(link, { addresses: ['10.0.0.2/24'] })
       link.setFilter({ multicast: false })
       await eth0.ready
       stack.net.createServer((socket) => socket.end('from ' + link.name + ' ' + link.macRule)).listen(7, () => require('node:worker_threads').parentPort.postMessage('ready'))`,
      ticket,
    )
    const stack = createStack()
    await stack.attach(mux.open(), { addresses: ['10.0.0.1/24'] }).ready
    await once(worker, 'message') // it listens
    const socket = stack.net.connect({ host: '10.0.0.2', port: 7 })
    const [said] = await once(socket.setEncoding('utf8'), 'data')
    expect(said).toBe('from eth0#0 device')
    expect([client.filter.multicast, client.counters().inFrames > 0]).toEqual([false, true])
    await worker.terminate()
    while (gone.length === 0) await settle()
    expect(gone).toEqual(['eth0#0'])
    const next = mux.open({ mac: 'device' })
    expect([next.macRule, next.channel]).toEqual(['device', 0])
    await stack.close()
    await mux.close()
  }, 20_000)

  it('hears that the multiplexer was closed, and may ask for its counters', async () => {
    const { mux } = muxed()
    const { ticket } = shareMux(mux, { filter: { broadcast: false } })
    const link = openSharedMux(ticket)
    const sink = new RecordingSink(nodeHost)
    link.attach(sink)
    expect([link.filter.broadcast, link.device, link.channel, link.server]).toEqual([false, 'eth0', 0, ''])
    expect(await link.remoteCounters()).toMatchObject({ inFrames: 0, inQueued: 0 })
    await mux.close()
    while (!sink.ready) await settle()
    expect(link.receive(64)).toBe(false)
    expect(sink.closes).toBe(1)
  })
})
